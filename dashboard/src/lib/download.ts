type Cell = string | number | boolean | null

/** Rows as CSV (RFC 4180). Text that a spreadsheet would take for a formula gets an apostrophe. */
export function toCsv(rows: readonly object[]): string {
  const names = Object.keys(rows[0] ?? {})
  const lines = rows.map((row) => names.map((name) => cell((row as Record<string, Cell>)[name] ?? null)))
  return [names, ...lines].map((line) => `${line.join(',')}\r\n`).join('')
}

function cell(value: Cell): string {
  if (value === null) return ''
  const text = typeof value === 'string' ? value.replace(/^[=+\-@\t\r]/, "'$&") : String(value)
  return /[",\r\n]/.test(text) ? `"${text.replaceAll('"', '""')}"` : text
}

export function save(content: BlobPart, type: string, name: string): void {
  const link = document.createElement('a')
  link.href = URL.createObjectURL(new Blob([content], { type }))
  link.download = name
  link.click()
  setTimeout(() => URL.revokeObjectURL(link.href), 10_000)
}

const STYLES = [
  'fill', 'fill-opacity', 'stroke', 'stroke-width', 'stroke-dasharray', 'stroke-linecap', 'opacity',
  'font-family', 'font-size', 'font-weight', 'text-anchor', 'visibility',
] as const
const SCALE = 2
const MARGIN = 24
const HEAD = 52

/** Draw a chart, under its title and a line about it, as PNG in the colours of the moment. */
export async function toPng(chart: SVGSVGElement, title: string, about: string): Promise<Blob> {
  const { width, height } = chart.getBoundingClientRect()
  const page = { width: width + 2 * MARGIN, height: height + 2 * MARGIN + HEAD }
  const source = sheet(chart, page, title, about)
  const image = new Image(page.width, page.height)
  image.src = URL.createObjectURL(new Blob([source], { type: 'image/svg+xml' }))
  await image.decode()
  const canvas = document.createElement('canvas')
  canvas.width = Math.ceil(page.width * SCALE)
  canvas.height = Math.ceil(page.height * SCALE)
  canvas.getContext('2d')!.drawImage(image, 0, 0, canvas.width, canvas.height)
  URL.revokeObjectURL(image.src)
  return new Promise((done, fail) =>
    canvas.toBlob((blob) => (blob ? done(blob) : fail(new Error('no PNG came of the chart')))),
  )
}

function sheet(
  chart: SVGSVGElement,
  page: { width: number; height: number },
  title: string,
  about: string,
): string {
  const copy = chart.cloneNode(true) as SVGSVGElement
  const originals = [chart, ...chart.querySelectorAll('*')]
  const copies = [copy, ...copy.querySelectorAll('*')]
  originals.forEach((original, at) => {
    const style = getComputedStyle(original)
    for (const name of STYLES) copies[at]!.setAttribute(name, style.getPropertyValue(name))
  })
  copy.setAttribute('x', String(MARGIN))
  copy.setAttribute('y', String(MARGIN + HEAD))
  const outer = document.createElementNS('http://www.w3.org/2000/svg', 'svg')
  for (const name of ['width', 'height'] as const) outer.setAttribute(name, String(page[name]))
  const body = getComputedStyle(document.body)
  const card = getComputedStyle(chart.closest('.card') ?? document.body)
  outer.append(
    shape('rect', { width: '100%', height: '100%', fill: card.backgroundColor }),
    text(title, MARGIN + 18, '18', '650', body),
    text(about, MARGIN + 40, '13', '400', body),
    copy,
  )
  return new XMLSerializer().serializeToString(outer)
}

function shape(name: string, attributes: Record<string, string>): SVGElement {
  const made = document.createElementNS('http://www.w3.org/2000/svg', name)
  for (const [key, value] of Object.entries(attributes)) made.setAttribute(key, value)
  return made
}

function text(content: string, y: number, size: string, weight: string, style: CSSStyleDeclaration) {
  const made = shape('text', {
    x: String(MARGIN),
    y: String(y),
    fill: style.color,
    'font-family': style.fontFamily,
    'font-size': size,
    'font-weight': weight,
  })
  made.textContent = content
  return made
}
