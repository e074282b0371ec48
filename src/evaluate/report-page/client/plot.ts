/** What charts share: scales with round ticks, axes, and drawing at the width there is. */
import type { Page } from './page.ts'

export interface Scale {
  (value: number): number
  ticks: number[]
  text(value: number): string
}

/** Pixels, from the left and the top of the picture. */
export interface Area {
  left: number
  right: number
  top: number
  bottom: number
}

export interface Plot {
  /** From values low..high to pixels from..to, with about `wanted` ticks at 1, 2 or 5 times a power of ten. */
  scale(low: number, high: number, from: number, to: number, wanted: number): Scale
  /** Grid lines, ticks and names. `textAt`: where the numbers below the x axis stand. */
  axes(x: Scale, y: Scale, area: Area, names: { x: string; y: string }, textAt: number): SVGElement
  /** A figure whose picture is drawn again when its width changes. */
  figure(title: string, note: string, readout: HTMLElement, draw: (width: number) => SVGElement): HTMLElement
  picture(width: number, height: number, label: string): SVGElement
}

export function createPlot(page: Page): Plot {
  const { h, svg } = page
  return {
    scale(low, high, from, to, wanted) {
      if (high - low < 1e-12) [low, high] = [low - 0.5, high + 0.5]
      const rough = (high - low) / wanted
      const power = 10 ** Math.floor(Math.log10(rough))
      const step = ([1, 2, 5, 10].find((factor) => factor * power >= rough) ?? 10) * power
      const first = Math.ceil(low / step - 1e-9)
      const ticks = Array.from({ length: Math.floor(high / step + 1e-9) - first + 1 }, (_, i) => (first + i) * step)
      const digits = Math.max(0, -Math.floor(Math.log10(step) + 1e-9))
      const format = { minimumFractionDigits: digits, maximumFractionDigits: digits }
      const at = (value: number): number => from + ((value - low) / (high - low)) * (to - from)
      return Object.assign(at, { ticks, text: (value: number) => value.toLocaleString('en-US', format) })
    },
    axes(x, y, area, names, textAt) {
      const group = svg('g', { class: 'axes' })
      for (const tick of y.ticks)
        group.append(
          svg('line', { x1: area.left, x2: area.right, y1: y(tick), y2: y(tick) }),
          svg('text', { x: area.left - 8, y: y(tick) + 4, 'text-anchor': 'end' }, y.text(tick)),
        )
      for (const tick of x.ticks)
        group.append(
          svg('line', { class: 'tick', x1: x(tick), x2: x(tick), y1: area.bottom, y2: area.bottom + 4 }),
          svg('text', { x: x(tick), y: textAt, 'text-anchor': 'middle' }, x.text(tick)),
        )
      group.append(
        svg('line', { class: 'base', x1: area.left, x2: area.right, y1: area.bottom, y2: area.bottom }),
        svg('text', { class: 'name', x: area.right, y: textAt + 16, 'text-anchor': 'end' }, names.x),
        svg('text', { class: 'name', x: 0, y: 11 }, names.y),
      )
      return group
    },
    figure(title, note, readout, draw) {
      const box = h('div', { class: 'plot' })
      let last = 0
      new ResizeObserver(() => {
        if (box.clientWidth === last || box.clientWidth === 0) return
        last = box.clientWidth
        box.replaceChildren(draw(last))
      }).observe(box)
      const caption = h('figcaption', {}, title.charAt(0).toUpperCase() + title.slice(1), h('small', {}, note))
      return h('figure', { class: 'chart' }, caption, box, readout)
    },
    picture: (width, height, label) =>
      svg('svg', {
        width,
        height,
        viewBox: `0 0 ${width} ${height}`,
        role: 'img',
        tabindex: 0,
        'aria-label': label,
      }),
  }
}
