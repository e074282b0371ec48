/** Line charts of what was measured along the run, and the reliability diagram. Drawn at the width they have; values on hover and by arrow keys. */
import type { Curve } from '../../report.ts'
import type { Page } from './page.ts'

/** Ticks at 1, 2 or 5 times a power of ten. */
export interface Scale {
  (value: number): number
  ticks: number[]
  text(value: number): string
}

export function drawCharts(page: Page, host: HTMLElement): void {
  const { h, svg, data } = page

  const scaleOf = (low: number, high: number, from: number, to: number, wanted: number): Scale => {
    if (high - low < 1e-12) [low, high] = [low - 0.5, high + 0.5]
    const rough = (high - low) / wanted
    const power = 10 ** Math.floor(Math.log10(rough))
    const step = ([1, 2, 5, 10].find((factor) => factor * power >= rough) ?? 10) * power
    const first = Math.ceil(low / step - 1e-9)
    const ticks = Array.from({ length: Math.floor(high / step + 1e-9) - first + 1 }, (_, i) => (first + i) * step)
    const digits = Math.max(0, -Math.floor(Math.log10(step) + 1e-9))
    const scale = (value: number): number => from + ((value - low) / (high - low)) * (to - from)
    return Object.assign(scale, {
      ticks,
      text: (value: number) =>
        value.toLocaleString('en-US', { minimumFractionDigits: digits, maximumFractionDigits: digits }),
    })
  }

  /** Calls `draw` with the width of the box, now and when it changes. */
  const whenSized = (box: HTMLElement, draw: (width: number) => void): void => {
    let last = 0
    new ResizeObserver(() => {
      if (box.clientWidth === last || box.clientWidth === 0) return
      last = box.clientWidth
      draw(last)
    }).observe(box)
  }

  const axes = (
    x: Scale,
    y: Scale,
    box: { left: number; right: number; top: number; bottom: number },
    names: { x: string; y: string },
  ): SVGElement => {
    const group = svg('g', { class: 'axes' })
    for (const tick of y.ticks) {
      group.append(
        svg('line', { x1: box.left, x2: box.right, y1: y(tick), y2: y(tick) }),
        svg('text', { x: box.left - 8, y: y(tick) + 4, 'text-anchor': 'end' }, y.text(tick)),
      )
    }
    for (const tick of x.ticks)
      group.append(
        svg('line', { class: 'tick', x1: x(tick), x2: x(tick), y1: box.bottom, y2: box.bottom + 4 }),
        svg('text', { x: x(tick), y: box.bottom + 18, 'text-anchor': 'middle' }, x.text(tick)),
      )
    group.append(
      svg('line', { class: 'base', x1: box.left, x2: box.right, y1: box.bottom, y2: box.bottom }),
      svg('text', { class: 'name', x: box.right, y: box.bottom + 34, 'text-anchor': 'end' }, names.x),
      svg('text', { class: 'name', x: 0, y: 11 }, names.y),
    )
    return group
  }

  /** Curves of one quantity. Of many points, a running mean is drawn strong over the points themselves. */
  const lines = (curves: readonly Curve[]): HTMLElement => {
    const box = h('div', { class: 'plot' })
    const readout = h('p', { class: 'readout', role: 'status' })
    const quantity = curves[0]!.quantity
    const title = quantity.replace(/ \(.*/, '')
    const xUnit = curves[0]!.xUnit
    const points = curves.flatMap((curve) => curve.points)
    const xs = points.map(([x]) => x)
    const ys = points.map(([, y]) => y)
    const rest = curves.map((curve) => `${curve.name} ${curve.points.at(-1)![1].toFixed(3)}`).join('   ')
    whenSized(box, (width) => {
      const height = Math.round(Math.min(320, Math.max(200, width * 0.52)))
      const area = { left: 46, right: width - 56, top: 24, bottom: height - 40 }
      const span = Math.max(...ys) - Math.min(...ys)
      const x = scaleOf(Math.min(...xs), Math.max(...xs), area.left, area.right, Math.max(2, Math.floor(width / 64)))
      const y = scaleOf(Math.min(...ys) - span * 0.04, Math.max(...ys) + span * 0.04, area.bottom, area.top, 5)
      const picture = svg('svg', {
        width,
        height,
        viewBox: `0 0 ${width} ${height}`,
        role: 'img',
        tabindex: 0,
        'aria-label': `${quantity} by ${xUnit}. Last: ${rest}`,
      })
      picture.append(axes(x, y, area, { x: xUnit, y: quantity }))
      // Names stand at the ends of the lines, kept apart.
      const labels = curves
        .map((curve, i) => ({ i, name: curve.name, at: y(curve.points.at(-1)![1]) }))
        .sort((a, b) => a.at - b.at)
      for (const [k, label] of labels.entries()) if (k > 0) label.at = Math.max(label.at, labels[k - 1]!.at + 15)
      for (const [i, curve] of curves.entries()) {
        const many = curve.points.length > 60
        const path = (list: readonly [number, number][]): string =>
          list.map(([px, py], k) => `${k === 0 ? 'M' : 'L'}${x(px).toFixed(1)} ${y(py).toFixed(1)}`).join('')
        if (many) {
          const reach = Math.max(2, Math.floor(curve.points.length / 40))
          const sideOf = (k: number): number => Math.min(reach, k, curve.points.length - 1 - k)
          const mean = curve.points.map(([px], k): [number, number] => {
            const near = curve.points.slice(k - sideOf(k), k + sideOf(k) + 1)
            return [px, near.reduce((sum, [, py]) => sum + py, 0) / near.length]
          })
          picture.append(
            svg('path', { class: `raw line-${i}`, d: path(curve.points) }),
            svg('path', { class: `line-${i}`, d: path(mean) }),
          )
        } else {
          picture.append(svg('path', { class: `line-${i}`, d: path(curve.points) }))
          for (const [px, py] of curve.points)
            picture.append(svg('circle', { class: `line-${i}`, cx: x(px), cy: y(py), r: 3 }))
        }
      }
      for (const label of labels)
        picture.append(svg('text', { class: `end line-${label.i}`, x: area.right + 8, y: label.at + 4 }, label.name))
      const cross = svg('line', { class: 'cross', y1: area.top, y2: area.bottom })
      picture.append(cross)
      const places = [...new Set(xs)].sort((a, b) => a - b)
      let here = places.length - 1
      const show = (index: number): void => {
        here = Math.max(0, Math.min(places.length - 1, index))
        const at = places[here]!
        cross.setAttribute('x1', String(x(at)))
        cross.setAttribute('x2', String(x(at)))
        cross.setAttribute('data-shown', '')
        const parts = curves.flatMap((curve) => {
          const point = curve.points.find(([px]) => px === at)
          return point ? [`${curve.name} ${point[1].toFixed(3)}`] : []
        })
        readout.textContent = `${xUnit} ${page.count(at)}   ${parts.join('   ')}`
      }
      const clear = (): void => {
        cross.removeAttribute('data-shown')
        readout.textContent = `last   ${rest}`
      }
      picture.addEventListener('pointermove', (event) => {
        const pointed = (event as PointerEvent).clientX - picture.getBoundingClientRect().left
        let best = 0
        for (const [i, place] of places.entries())
          if (Math.abs(x(place) - pointed) < Math.abs(x(places[best]!) - pointed)) best = i
        show(best)
      })
      picture.addEventListener('pointerleave', clear)
      picture.addEventListener('blur', clear)
      picture.addEventListener('keydown', (event) => {
        const key = (event as KeyboardEvent).key
        if (key !== 'ArrowLeft' && key !== 'ArrowRight') return
        event.preventDefault()
        show(here + (key === 'ArrowLeft' ? -1 : 1))
      })
      clear()
      box.replaceChildren(picture)
    })
    return h(
      'figure',
      { class: 'chart' },
      h('figcaption', {}, title.charAt(0).toUpperCase() + title.slice(1), h('small', {}, `by ${xUnit}`)),
      box,
      readout,
    )
  }

  const calibration = (): HTMLElement => {
    const box = h('div', { class: 'plot' })
    const readout = h('p', { class: 'readout', role: 'status' })
    const total = data.reliability.reduce((sum, bin) => sum + bin.count, 0)
    const most = Math.max(1, ...data.reliability.map((bin) => bin.count))
    const rest = 'bars: share right   line: as sure as right   below: rows by probability'
    whenSized(box, (width) => {
      const height = Math.round(Math.min(320, Math.max(220, width * 0.6)))
      const area = { left: 46, right: width - 12, top: 24, bottom: height - 84 }
      const x = scaleOf(0, 1, area.left, area.right, 5)
      const y = scaleOf(0, 1, area.bottom, area.top, 5)
      const picture = svg('svg', {
        width,
        height,
        viewBox: `0 0 ${width} ${height}`,
        role: 'img',
        'aria-label': 'Share of right predictions by predicted probability',
      })
      const count = { top: area.bottom + 10, bottom: height - 40 }
      picture.append(axes(x, y, area, { x: '', y: 'share right' }))
      for (const text of picture.querySelectorAll('.axes text')) {
        if (Number(text.getAttribute('y')) > area.bottom + 10) text.setAttribute('y', String(height - 22))
      }
      picture.append(
        svg(
          'text',
          { class: 'name', x: area.right, y: height - 4, 'text-anchor': 'end' },
          'probability of the predicted path',
        ),
      )
      for (const bin of data.reliability) {
        const left = x(bin.from) + 1
        const wide = x(bin.to) - x(bin.from) - 2
        const words = `probability ${bin.from.toFixed(2)} to ${bin.to.toFixed(2)}: mean ${bin.confidence.toFixed(3)}, right ${bin.accuracy.toFixed(3)}, ${page.rows(bin.count)}`
        const group = svg('g', { class: 'bin' })
        if (bin.count > 0) {
          const tall = ((count.bottom - count.top) * Math.sqrt(bin.count)) / Math.sqrt(most)
          group.append(
            svg('rect', {
              class: 'share',
              x: left,
              y: y(bin.accuracy),
              width: wide,
              height: area.bottom - y(bin.accuracy),
            }),
            svg('line', {
              class: bin.accuracy < bin.confidence ? 'gap over' : 'gap',
              x1: left + wide / 2,
              x2: left + wide / 2,
              y1: y(bin.confidence),
              y2: y(bin.accuracy),
            }),
            svg('rect', { class: 'amount', x: left, y: count.bottom - tall, width: wide, height: tall }),
          )
        }
        group.append(
          svg('rect', { class: 'touch', x: left, y: area.top, width: wide, height: count.bottom - area.top }),
        )
        group.addEventListener('pointerenter', () => (readout.textContent = words))
        group.addEventListener('pointerleave', () => (readout.textContent = rest))
        picture.append(group)
      }
      picture.append(svg('line', { class: 'ideal', x1: x(0), y1: y(0), x2: x(1), y2: y(1) }))
      readout.textContent = rest
      box.replaceChildren(picture)
    })
    return h(
      'figure',
      { class: 'chart' },
      h(
        'figcaption',
        {},
        'Reliability',
        h(
          'small',
          {},
          `${page.count(total)} predicted paths in ${data.reliability.length} bins; counts on a square-root scale`,
        ),
      ),
      box,
      readout,
    )
  }

  const quantities = [...new Set(data.curves.filter((curve) => curve.points.length > 0).map((curve) => curve.quantity))]
  for (const quantity of quantities)
    host.append(lines(data.curves.filter((curve) => curve.quantity === quantity && curve.points.length > 0)))
  if (data.reliability.length > 0) host.append(calibration())
}
