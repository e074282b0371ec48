/** What was measured along the run, a line chart for each quantity. The pointer or the arrow keys read values off. */
import type { Curve } from '../../report.ts'
import type { Page } from './page.ts'
import type { Plot } from './plot.ts'

export function drawCurves(page: Page, plot: Plot, host: HTMLElement): void {
  const { h, svg } = page

  /** A mean over neighbours, fewer near the ends so that the ends stay where they are. */
  const smooth = (points: readonly [number, number][]): [number, number][] => {
    const reach = Math.max(2, Math.floor(points.length / 40))
    return points.map(([x], i) => {
      const side = Math.min(reach, i, points.length - 1 - i)
      const near = points.slice(i - side, i + side + 1)
      return [x, near.reduce((sum, [, y]) => sum + y, 0) / near.length]
    })
  }

  const chart = (curves: readonly Curve[]): HTMLElement => {
    const { quantity, xUnit } = curves[0]!
    const points = curves.flatMap((curve) => curve.points)
    const xs = points.map(([x]) => x)
    const ys = points.map(([, y]) => y)
    const [lowest, highest] = [Math.min(...ys), Math.max(...ys)]
    const margin = (highest - lowest) * 0.04
    const places = [...new Set(xs)].sort((a, b) => a - b)
    const last = curves.map((curve) => `${curve.name} ${curve.points.at(-1)![1].toFixed(3)}`).join('   ')
    const readout = h('p', { class: 'readout', role: 'status' }, `last   ${last}`)

    const draw = (width: number): SVGElement => {
      const height = Math.round(Math.min(320, Math.max(200, width * 0.52)))
      const area = { left: 46, right: width - 56, top: 24, bottom: height - 40 }
      const x = plot.scale(places[0]!, places.at(-1)!, area.left, area.right, Math.max(2, Math.floor(width / 64)))
      const y = plot.scale(lowest - margin, highest + margin, area.bottom, area.top, 5)
      const picture = plot.picture(width, height, `${quantity} by ${xUnit}. Last: ${last}`)
      picture.append(plot.axes(x, y, area, { x: xUnit, y: quantity }, area.bottom + 18))
      const path = (list: readonly [number, number][]): string =>
        list.map(([px, py], i) => `${i === 0 ? 'M' : 'L'}${x(px).toFixed(1)} ${y(py).toFixed(1)}`).join('')
      for (const [i, curve] of curves.entries()) {
        if (curve.points.length > 60)
          picture.append(
            svg('path', { class: `raw line-${i % 4}`, d: path(curve.points) }),
            svg('path', { class: `line-${i % 4}`, d: path(smooth(curve.points)) }),
          )
        else
          picture.append(
            svg('path', { class: `line-${i % 4}`, d: path(curve.points) }),
            ...curve.points.map(([px, py]) => svg('circle', { class: `line-${i % 4}`, cx: x(px), cy: y(py), r: 3 })),
          )
      }
      // Names stand at the ends of the lines, kept apart.
      const names = curves
        .map((curve, i) => ({ i, name: curve.name, at: y(curve.points.at(-1)![1]) }))
        .sort((a, b) => a.at - b.at)
      for (const [i, name] of names.entries()) {
        if (i > 0) name.at = Math.max(name.at, names[i - 1]!.at + 15)
        picture.append(svg('text', { class: `end line-${name.i % 4}`, x: area.right + 8, y: name.at + 4 }, name.name))
      }
      const cross = svg('line', { class: 'cross', y1: area.top, y2: area.bottom })
      picture.append(cross)

      let here = places.length - 1
      const show = (index: number): void => {
        here = Math.max(0, Math.min(places.length - 1, index))
        const at = places[here]!
        for (const end of ['x1', 'x2']) cross.setAttribute(end, String(x(at)))
        cross.setAttribute('data-shown', '')
        const values = curves.flatMap((curve) => {
          const point = curve.points.find(([px]) => px === at)
          return point ? [`${curve.name} ${point[1].toFixed(3)}`] : []
        })
        readout.textContent = `${xUnit} ${page.count(at)}   ${values.join('   ')}`
      }
      const clear = (): void => {
        cross.removeAttribute('data-shown')
        readout.textContent = `last   ${last}`
      }
      picture.addEventListener('pointermove', (event) => {
        const pointed = (event as PointerEvent).clientX - picture.getBoundingClientRect().left
        const distance = (place: number): number => Math.abs(x(place) - pointed)
        show(places.reduce((best, place, i) => (distance(place) < distance(places[best]!) ? i : best), 0))
      })
      picture.addEventListener('pointerleave', clear)
      picture.addEventListener('blur', clear)
      picture.addEventListener('keydown', (event) => {
        const step = { ArrowLeft: -1, ArrowRight: 1 }[(event as KeyboardEvent).key]
        if (step === undefined) return
        event.preventDefault()
        show(here + step)
      })
      return picture
    }
    return plot.figure(quantity.replace(/ \(.*/, ''), `by ${xUnit}`, readout, draw)
  }

  const measured = page.data.curves.filter((curve) => curve.points.length > 0)
  for (const quantity of new Set(measured.map((curve) => curve.quantity)))
    host.append(chart(measured.filter((curve) => curve.quantity === quantity)))
}
