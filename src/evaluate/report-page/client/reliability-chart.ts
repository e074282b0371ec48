/** The reliability diagram: how often predictions of each probability were right, and how many there were. A bin leads to its rows. */
import type { Page } from './page.ts'
import type { Plot } from './plot.ts'
import type { RowFilter } from './rows.ts'

export function drawReliability(
  page: Page,
  plot: Plot,
  showRows: (filter: RowFilter) => void,
  host: HTMLElement,
): void {
  const { h, svg } = page
  const bins = page.data.reliability
  const total = bins.reduce((sum, bin) => sum + bin.count, 0)
  if (total === 0) return
  const most = Math.max(...bins.map((bin) => bin.count))
  const legend = 'bars: share right   dashes: as sure as right   below: number of rows   click: read them'
  const readout = h('p', { class: 'readout', role: 'status' }, legend)
  type Bin = (typeof bins)[0]
  const span = (bin: Bin): string => `probability ${bin.from.toFixed(2)} to ${bin.to.toFixed(2)}`
  const describe = (bin: Bin): string =>
    `${span(bin)}: mean ${bin.confidence.toFixed(3)}, right ${bin.accuracy.toFixed(3)}, ${page.rows(bin.count)}`
  const open = (bin: Bin): void =>
    showRows({
      kind: 'all',
      what: span(bin),
      keep: (row) => row.confidences.some((p) => (p > bin.from || bin.from === 0) && p <= bin.to),
    })

  const draw = (width: number): SVGElement => {
    const height = Math.round(Math.min(320, Math.max(220, width * 0.6)))
    const area = { left: 46, right: width - 12, top: 24, bottom: height - 84 }
    const amounts = { top: area.bottom + 10, bottom: height - 40 }
    const x = plot.scale(0, 1, area.left, area.right, 5)
    const y = plot.scale(0, 1, area.bottom, area.top, 5)
    const picture = plot.picture(width, height, 'Share of right predictions by predicted probability')
    const names = { x: 'probability of the predicted path', y: 'share right' }
    picture.append(plot.axes(x, y, area, names, height - 22))
    const groups = bins.map((bin) => {
      const left = x(bin.from) + 1
      const wide = x(bin.to) - x(bin.from) - 2
      const middle = left + wide / 2
      const tall = (amounts.bottom - amounts.top) * Math.sqrt(bin.count / most)
      const box = (name: string, from: number, to: number): SVGElement =>
        svg('rect', { class: name, x: left, y: from, width: wide, height: to - from })
      const gap = { x1: middle, x2: middle, y1: y(bin.confidence), y2: y(bin.accuracy) }
      const drawn =
        bin.count === 0
          ? []
          : [
              box('share', y(bin.accuracy), area.bottom),
              svg('line', { class: bin.accuracy < bin.confidence ? 'gap over' : 'gap', ...gap }),
              box('amount', amounts.bottom - tall, amounts.bottom),
            ]
      const group = svg('g', { class: 'bin' }, ...drawn, box('touch', area.top, amounts.bottom))
      group.addEventListener('click', () => open(bin))
      return group
    })
    let here = bins.length
    const show = (index: number): void => {
      here = index
      for (const [i, group] of groups.entries()) group.classList.toggle('here', i === here)
      readout.textContent = bins[here] ? describe(bins[here]) : legend
    }
    for (const [i, group] of groups.entries()) group.addEventListener('pointerenter', () => show(i))
    picture.addEventListener('pointerleave', () => show(bins.length))
    picture.addEventListener('blur', () => show(bins.length))
    picture.addEventListener('keydown', (event) => {
      const { key } = event as KeyboardEvent
      if (key === 'ArrowLeft') show(Math.max(0, here - 1))
      else if (key === 'ArrowRight') show(Math.min(bins.length - 1, here + 1))
      else if (key === 'Enter' && bins[here]) open(bins[here])
      else return
      event.preventDefault()
    })
    picture.append(...groups, svg('line', { class: 'ideal', x1: x(0), y1: y(0), x2: x(1), y2: y(1) }))
    return picture
  }
  const note = `${page.count(total)} predicted paths, ${bins.length} bins; counts on a square-root scale`
  host.append(plot.figure('reliability', note, readout, draw))
}
