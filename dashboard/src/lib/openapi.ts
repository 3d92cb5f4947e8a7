/** The parts of an OpenAPI 3.1 document that the API page uses. */

export interface Schema {
  $ref?: string
  type?: string
  format?: string
  anyOf?: Schema[]
  items?: Schema
  properties?: Record<string, Schema>
  description?: string
  default?: unknown
  minimum?: number
  maximum?: number
}

export interface Parameter {
  name: string
  in: 'path' | 'query' | 'header'
  required?: boolean
  description?: string
  schema: Schema
  example?: string | number | string[]
}

export interface Header {
  description?: string
  required?: boolean
}

export interface Answer {
  description: string
  headers?: Record<string, Header>
  content?: Record<string, { schema?: Schema; example?: unknown }>
}

export interface Operation {
  operationId: string
  summary: string
  description: string
  parameters?: Parameter[]
  responses: Record<string, Answer>
  security?: unknown[]
}

export interface Document {
  info: { title: string; description: string; version: string }
  paths: Record<string, { get: Operation }>
  components: Record<string, Record<string, unknown>>
}

export interface Field {
  name: string
  type: string
  description: string
}

/** Resolve all references to parameters and headers; references to schemas stay. */
export function resolved(document: Document): Document {
  for (const { get } of Object.values(document.paths)) {
    get.parameters = (get.parameters ?? []).map((one) => follow<Parameter>(document, one))
    for (const answer of Object.values(get.responses))
      for (const [name, header] of Object.entries(answer.headers ?? {}))
        answer.headers![name] = follow<Header>(document, header)
  }
  return document
}

function follow<T extends object>(document: Document, one: T): T {
  if (!('$ref' in one)) return one
  const [kind, name] = String(one.$ref).split('/').slice(-2)
  return document.components[kind!]![name!] as T
}

/** List all fields of a schema; nested fields come after their parent: `data[].week`. */
export function fieldsOf(document: Document, schema: Schema | undefined, within = ''): Field[] {
  const { properties = {}, anyOf } = follow(document, schema ?? {})
  if (anyOf && !within) {
    // Of responses of several kinds, list each field once.
    const all = anyOf.flatMap((one) => fieldsOf(document, one))
    return all.filter((one, at) => all.findIndex((other) => other.name === one.name) === at)
  }
  return Object.entries(properties).flatMap(([key, of]) => {
    const name = within + key
    const inner = follow(document, of)
    const item = inner.items && follow(document, inner.items)
    return [
      { name, type: typeOf(document, of), description: of.description ?? inner.description ?? '' },
      ...fieldsOf(document, inner, `${name}.`),
      ...fieldsOf(document, item, `${name}[].`),
    ]
  })
}

export function typeOf(document: Document, schema: Schema): string {
  if (schema.anyOf) return schema.anyOf.map((one) => typeOf(document, one)).join(' or ')
  const { type = 'any', format, items } = follow(document, schema)
  if (type === 'array') return `list of ${typeOf(document, items ?? {})}`
  return format ?? type
}

/** Build the URL of an operation, relative to the page, without empty parameters. */
export function addressOf(path: string, parameters: Parameter[], values: Record<string, string>): string {
  const query = new URLSearchParams()
  let asked = path.slice(1)
  for (const { name, in: where, schema } of parameters) {
    const value = values[name]?.trim() ?? ''
    if (where === 'path') asked = asked.replace(`{${name}}`, encodeURIComponent(value))
    else if (where === 'query' && value)
      for (const one of schema.type === 'array' ? value.split(/[\s,]+/) : [value]) query.append(name, one)
  }
  const text = query.toString()
  return text ? `${asked}?${text}` : asked
}
