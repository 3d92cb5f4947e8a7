type Cell = string | number | boolean | null

/** Format rows as CSV (RFC 4180). Text that a spreadsheet would treat as a formula gets an apostrophe. */
function toCsv(rows: readonly object[]): string {
  const names = Object.keys(rows[0] ?? {})
  const lines = rows.map((row) => names.map((name) => cell((row as Record<string, Cell>)[name] ?? null)))
  return [names, ...lines].map((line) => `${line.join(',')}\r\n`).join('')
}

function cell(value: Cell): string {
  if (value === null) return ''
  const text = typeof value === 'string' ? value.replace(/^[=+\-@\t\r]/, "'$&") : String(value)
  return /[",\r\n]/.test(text) ? `"${text.replaceAll('"', '""')}"` : text
}

/** Save rows as a CSV file; the byte order mark tells a spreadsheet that it is UTF-8. */
export function saveCsv(rows: readonly object[], name: string): void {
  save(`\ufeff${toCsv(rows)}`, 'text/csv', name)
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
const TITLE_PX = 18
const TEXT_PX = 13
const LINE_PX = 20
const SWATCH_PX = 12

/** Draw a chart below its title, description and legend, as a PNG in the current colours. */
export async function toPng(
  chart: SVGSVGElement,
  title: string,
  about: string,
  legend: readonly HTMLElement[],
): Promise<Blob> {
  const page = sheet(chart, title, about, legend)
  const { width, height } = page.viewBox.baseVal
  const image = new Image(width, height)
  const source = new XMLSerializer().serializeToString(page)
  image.src = URL.createObjectURL(new Blob([source], { type: 'image/svg+xml' }))
  await image.decode()
  const canvas = document.createElement('canvas')
  canvas.width = Math.ceil(width * SCALE)
  canvas.height = Math.ceil(height * SCALE)
  canvas.getContext('2d')!.drawImage(image, 0, 0, canvas.width, canvas.height)
  URL.revokeObjectURL(image.src)
  return new Promise((done, fail) =>
    canvas.toBlob((blob) => (blob ? done(blob) : fail(new Error('The chart could not be converted to PNG.')))),
  )
}

function sheet(
  chart: SVGSVGElement,
  title: string,
  about: string,
  legend: readonly HTMLElement[],
): SVGSVGElement {
  const copy = chart.cloneNode(true) as SVGSVGElement
  const originals = [chart, ...chart.querySelectorAll('*')]
  const copies = [copy, ...copy.querySelectorAll('*')]
  originals.forEach((original, at) => {
    const style = getComputedStyle(original)
    for (const name of STYLES) copies[at]!.setAttribute(name, style.getPropertyValue(name))
  })
  const box = chart.getBoundingClientRect()
  // An image cannot use the web font of the page, so measure text in the fallback font.
  const family = getComputedStyle(document.body).fontFamily.replace(/^Inter, /, '')
  const ink = getComputedStyle(document.body).color
  const write = (line: string, x: number, y: number, px: number, weight = 400): SVGElement => {
    const made = shape('text', {
      x, y, fill: ink, 'font-family': family, 'font-size': px, 'font-weight': weight,
    })
    made.textContent = line
    return made
  }

  let y = MARGIN + TITLE_PX
  const head = [write(title, MARGIN, y, TITLE_PX, 650)]
  const measure = measureIn(`${TEXT_PX}px ${family}`)
  for (const line of wrapped(about, box.width, measure)) {
    head.push(write(line, MARGIN, (y += LINE_PX), TEXT_PX))
  }
  let x = MARGIN
  y += LINE_PX + 4
  for (const entry of legend) {
    const label = entry.textContent.trim()
    const wide = SWATCH_PX + 8 + measure(label) + 16
    if (x > MARGIN && x + wide > MARGIN + box.width) [x, y] = [MARGIN, y + LINE_PX]
    head.push(...swatch(entry.querySelector('i')!, x, y - SWATCH_PX + 1))
    head.push(write(label, x + SWATCH_PX + 8, y, TEXT_PX))
    x += wide
  }
  y += MARGIN / 2
  copy.setAttribute('x', String(MARGIN))
  copy.setAttribute('y', String(y))

  const width = box.width + 2 * MARGIN
  const height = y + box.height + MARGIN
  const card = getComputedStyle(chart.closest('.card') ?? document.body).backgroundColor
  const page = shape('svg', { width, height, viewBox: `0 0 ${width} ${height}` })
  page.append(shape('rect', { width: '100%', height: '100%', fill: card }), ...head, copy)
  return page as SVGSVGElement
}

/** Draw the mark before a legend entry, based on its classes and the style sheet. */
function swatch(mark: HTMLElement, x: number, y: number): SVGElement[] {
  const style = getComputedStyle(mark)
  const is = (name: string): boolean => mark.classList.contains(name)
  const tone = style.getPropertyValue('--tone')
  const edge = { fill: 'none', stroke: style.borderTopColor, 'stroke-width': 1.2 }
  const half = SWATCH_PX / 2
  if (is('few')) return [shape('circle', { cx: x + half, cy: y + half, r: 4, ...edge })]
  if (is('mark')) {
    const dashes = is('faint') ? '3 2' : 'none'
    const line = { x1: x - 2, x2: x + SWATCH_PX + 2, y1: y + half, y2: y + half }
    return [shape('line', { ...line, stroke: tone, 'stroke-width': 2.5, 'stroke-dasharray': dashes })]
  }
  const square = { x, y, width: SWATCH_PX, height: SWATCH_PX, rx: 3 }
  if (is('none')) return [shape('rect', { ...square, ...edge, 'stroke-dasharray': '2 2' })]
  if (is('hatched')) {
    const lines = [3, 6, 9, 12].map((to) => `M${x} ${y + to}L${x + to} ${y}`).join('')
    return [shape('rect', { ...square, ...edge }), shape('path', { d: lines, ...edge })]
  }
  return [shape('rect', { ...square, ...edge, fill: style.backgroundColor, stroke: is('draft') ? edge.stroke : 'none' })]
}

function measureIn(font: string): (text: string) => number {
  const context = document.createElement('canvas').getContext('2d')!
  context.font = font
  return (text) => context.measureText(text).width
}

function wrapped(text: string, width: number, measure: (text: string) => number): string[] {
  const lines: string[] = []
  for (const word of text.split(' ')) {
    const longer = lines.length ? `${lines.at(-1)} ${word}` : word
    if (lines.length && measure(longer) <= width) lines[lines.length - 1] = longer
    else lines.push(word)
  }
  return lines
}

function shape(name: string, attributes: Record<string, string | number>): SVGElement {
  const made = document.createElementNS('http://www.w3.org/2000/svg', name)
  for (const [key, value] of Object.entries(attributes)) made.setAttribute(key, String(value))
  return made
}
