/**
 * The shared part of a report page's script: the data as a tree, element building, and which label is selected. The functions of this folder
 * are written into the page as source, so each is self-contained: it imports types only and takes what it needs as arguments.
 */
import type { PageData } from '../page-data.ts'

type Child = Node | string | undefined | false

export interface Page {
  readonly data: PageData
  readonly size: number
  /** Children by the first parent, and of the root (-1). */
  children(id: number): readonly number[]
  /** The first parent, or -1. */
  parent(id: number): number
  level(id: number): number
  /** The ids with all ancestors. */
  closure(ids: readonly number[]): Set<number>
  /** From level 1 down to the label. */
  path(id: number): number[]
  /** The readable name. */
  title(id: number): string
  pathText(id: number): string
  f1(id: number): number
  precision(id: number): number
  recall(id: number): number
  /** Class of the colour that stands for a label's F1. */
  shade(id: number): string
  shadeOf(f1: number): string
  score(value: number): string
  count(value: number): string
  rows(count: number): string
  h(tag: string, properties?: Record<string, unknown>, ...children: Child[]): HTMLElement
  svg(tag: string, attributes?: Record<string, string | number>, ...children: (Node | string)[]): SVGElement
  /** A button that selects a label. */
  labelButton(id: number, text?: string): HTMLElement
  /** A list that shows its first items, and more on demand. */
  growing<T>(items: readonly T[], step: number, view: (item: T) => Node): HTMLElement
  /** Buttons of which one is pressed. */
  choice<T extends string>(name: string, options: readonly T[], pressed: T, change: (option: T) => void): HTMLElement
  selected(): number
  select(id: number): void
  onSelect(listener: (id: number) => void): void
}

export function createPage(data: PageData): Page {
  const size = data.names.length
  const below: number[][] = Array.from({ length: size + 1 }, () => [])
  const levels: number[] = []
  const parent = (id: number): number => data.parents[id]![0] ?? -1
  for (let id = 0; id < size; id++) {
    below[parent(id) + 1]!.push(id)
    levels.push(1 + Math.max(0, ...data.parents[id]!.map((above) => levels[above]!)))
  }
  const ratio = (part: number, whole: number): number => (whole === 0 ? 0 : part / whole)
  const listeners: ((id: number) => void)[] = []
  let selected = -1

  const page: Page = {
    data,
    size,
    children: (id) => below[id + 1]!,
    parent,
    level: (id) => levels[id]!,
    closure(ids) {
      const set = new Set<number>()
      const visit = (id: number): void => {
        if (set.has(id)) return
        set.add(id)
        for (const above of data.parents[id]!) visit(above)
      }
      for (const id of ids) visit(id)
      return set
    },
    path(id) {
      const path: number[] = []
      for (let at = id; at >= 0; at = parent(at)) path.unshift(at)
      return path
    },
    title: (id) => data.titles[id] ?? data.names[id]!,
    pathText: (id) => page.path(id).map(page.title).join(' › '),
    f1: (id) => ratio(2 * data.right[id]!, data.support[id]! + data.predicted[id]!),
    precision: (id) => ratio(data.right[id]!, data.predicted[id]!),
    recall: (id) => ratio(data.right[id]!, data.support[id]!),
    shade: (id) => (data.support[id] === 0 ? 'shade-none' : page.shadeOf(page.f1(id))),
    shadeOf: (f1) => `shade-${[0.5, 0.7, 0.8, 0.9, 0.95, 1].filter((border) => f1 >= border).length}`,
    score: (value) => value.toFixed(3),
    count: (value) => value.toLocaleString('en-US'),
    rows: (count) => `${count.toLocaleString('en-US')} ${count === 1 ? 'row' : 'rows'}`,
    h(tag, properties = {}, ...children) {
      const element = document.createElement(tag)
      for (const [key, value] of Object.entries(properties)) {
        if (value === undefined || value === false) continue
        if (key.startsWith('on')) element.addEventListener(key.slice(2), value as EventListener)
        else element.setAttribute(key, value === true ? '' : String(value))
      }
      for (const child of children) if (child) element.append(child)
      return element
    },
    svg(tag, attributes = {}, ...children) {
      const element = document.createElementNS('http://www.w3.org/2000/svg', tag)
      for (const [key, value] of Object.entries(attributes)) element.setAttribute(key, String(value))
      element.append(...children)
      return element
    },
    labelButton: (id, text) =>
      page.h(
        'button',
        { type: 'button', class: 'label', title: page.pathText(id), onclick: () => page.select(id) },
        text ?? page.title(id),
      ),
    growing(items, step, view) {
      const list = page.h('div', { class: 'growing' })
      const more = page.h('button', { type: 'button', class: 'more' })
      let shown = 0
      const grow = (): void => {
        const first = shown
        shown = Math.min(items.length, shown + step)
        for (const item of items.slice(first, shown)) list.append(view(item))
        const left = items.length - shown
        if (left === 0) more.remove()
        else more.textContent = `Show ${page.count(Math.min(step, left))} of ${page.count(left)} more`
      }
      more.addEventListener('click', grow)
      const box = page.h('div', {}, list, more)
      grow()
      return box
    },
    choice(name, options, pressed, change) {
      const buttons = options.map((option) =>
        page.h(
          'button',
          {
            type: 'button',
            'aria-pressed': String(option === pressed),
            onclick: () => {
              for (const [i, button] of buttons.entries())
                button.setAttribute('aria-pressed', String(options[i] === option))
              change(option)
            },
          },
          option,
        ),
      )
      return page.h('div', { class: 'choice', role: 'group', 'aria-label': name }, ...buttons)
    },
    selected: () => selected,
    select(id) {
      selected = id
      history.replaceState(null, '', id < 0 ? '#tree' : `#label-${id}`)
      for (const listener of listeners) listener(id)
    },
    onSelect: (listener) => listeners.push(listener),
  }
  return page
}
