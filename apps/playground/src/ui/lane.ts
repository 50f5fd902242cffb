// One lane of the recorder: a name, what it reads now, and a trace over the last minute.

import { h, s, setText } from './dom.ts'

/** Where a moment stands in a lane. */
export interface Scale {
  /** Pixels. */
  readonly width: number
  /** @param at milliseconds, on the clock of the recording */
  x(at: number): number
}

export class Lane {
  readonly element: HTMLElement
  readonly plot: SVGElement
  readonly height: number
  readonly #value = h('span', { class: 'lane-value' })
  readonly #note = h('span', { class: 'lane-note' })
  readonly #traces = new Map<string, SVGElement>()

  /** @param height of the trace, in pixels */
  constructor(name: string, height: number) {
    this.height = height
    this.plot = s('svg', { class: 'plot', height, 'aria-hidden': 'true' })
    this.element = h(
      'div',
      { class: 'lane', 'data-lane': name.toLowerCase() },
      h('div', { class: 'lane-head' }, h('span', { class: 'lane-name' }, name), this.#value, this.#note),
      this.plot,
    )
  }

  /** @param mood colours the value: a state, an alarm */
  read(value: string, note: string, mood = ''): void {
    setText(this.#value, value)
    setText(this.#note, note)
    if (this.element.dataset.mood !== mood) this.element.dataset.mood = mood
  }

  /** Draws a path that has this class; the first time makes it. */
  trace(name: string, path: string): void {
    let trace = this.#traces.get(name)
    if (!trace) {
      trace = s('path', { class: `trace ${name}` })
      this.#traces.set(name, trace)
      this.plot.append(trace)
    }
    if (trace.getAttribute('d') !== path) trace.setAttribute('d', path)
  }
}

/** The path of a rectangle. */
export function box(left: number, top: number, width: number, height: number): string {
  return `M${round(left)} ${round(top)}h${round(width)}v${round(height)}h${round(-width)}z`
}

export function round(pixels: number): number {
  return Math.round(pixels * 10) / 10
}
