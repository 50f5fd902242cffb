// The state of the line over the last minute, as a strip.

import type { StateHistory } from '../model/StateHistory.ts'
import { h, s } from './dom.ts'

const WIDTH = 600
const HEIGHT = 34
const LEGEND: readonly (readonly [state: string, label: string])[] = [
  ['open', 'open'],
  ['connecting', 'connecting'],
  ['waiting', 'waiting'],
]

export class Timeline {
  readonly element: HTMLElement
  readonly #svg = s('svg', {
    viewBox: `0 0 ${WIDTH} ${HEIGHT}`,
    preserveAspectRatio: 'none',
    class: 'strip',
    role: 'img',
    'aria-label': 'State of the line over the last minute',
  })
  readonly #history: StateHistory
  readonly #windowMs: number

  constructor(history: StateHistory, windowMs: number) {
    this.#history = history
    this.#windowMs = windowMs
    this.element = h(
      'div',
      { class: 'timeline' },
      h('div', { class: 'strip-box' }),
      h(
        'div',
        { class: 'axis' },
        h('span', {}, `${windowMs / 1000} s ago`),
        h(
          'span',
          { class: 'legend' },
          ...LEGEND.map(([state, label]) => h('span', { class: `key ${state}` }, label)),
        ),
        h('span', {}, 'now'),
      ),
    )
    this.element.querySelector('.strip-box')?.append(this.#svg)
  }

  draw(now: number): void {
    const x = (at: number) => ((at - (now - this.#windowMs)) / this.#windowMs) * WIDTH
    this.#svg.replaceChildren(
      ...this.#history.spans(now).map(({ state, from, to }) =>
        // A state of a few milliseconds still deserves a line.
        s('rect', {
          class: `span ${state}`,
          x: x(from),
          y: 0,
          width: Math.max(1.5, x(to) - x(from)),
          height: HEIGHT,
        }),
      ),
    )
  }
}
