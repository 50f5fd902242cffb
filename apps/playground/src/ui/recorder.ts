// The recorder: all traces over one time, and behind them what was done to the line, so that cause and effect stand in line.

import { type Recording, type Vitals, WINDOW_MS } from '../model/vitals.ts'
import { BreakerLane } from './breakerLane.ts'
import { h, s } from './dom.ts'
import { box, round, type Scale } from './lane.ts'
import { LatencyLane } from './latencyLane.ts'
import { QueueLane } from './queueLane.ts'
import { RequestsLane } from './requestsLane.ts'
import { SessionLane } from './sessionLane.ts'
import { StateLane } from './stateLane.ts'

const MARKS_S = [60, 45, 30, 15, 0]
/** What fits above a band, in pixels. */
const LABEL_WIDTH = 34

export class Recorder {
  readonly element: HTMLElement
  readonly #lanes: readonly { readonly element: HTMLElement; draw(vitals: Vitals, scale: Scale): void }[]
  readonly #recording: Recording
  readonly #bands = s('path', { class: 'band' })
  readonly #edges = s('path', { class: 'band-edge' })
  readonly #grid = s('path', { class: 'grid' })
  readonly #labels = s('g', { class: 'band-labels' })
  readonly #backdrop = s(
    'svg',
    { class: 'backdrop', 'aria-hidden': 'true' },
    this.#grid,
    this.#bands,
    this.#edges,
    this.#labels,
  )
  #width = 0
  #height = 0

  constructor(recording: Recording) {
    this.#recording = recording
    this.#lanes = [
      new StateLane(recording.line),
      new SessionLane(recording),
      new LatencyLane(recording.latency),
      new QueueLane(recording),
      new RequestsLane(recording.outcomes),
      new BreakerLane(recording.breaker),
    ]
    this.element = h(
      'section',
      { class: 'recorder', 'aria-label': 'The last minute of the line' },
      this.#backdrop,
      ...this.#lanes.map(({ element }) => element),
      h(
        'div',
        { class: 'axis', 'aria-hidden': 'true' },
        ...MARKS_S.map((mark) => h('span', {}, mark === 0 ? 'now' : `${mark} s`)),
      ),
    )
    new ResizeObserver(([entry]) => {
      this.#width = entry?.contentRect.width ?? 0
      this.#height = entry?.contentRect.height ?? 0
      this.#drawGrid()
    }).observe(this.#backdrop)
  }

  draw(vitals: Vitals): void {
    // Nobody looks: folded away on a narrow screen.
    if (this.#width === 0) return
    const width = this.#width
    const start = vitals.now - WINDOW_MS
    // `x` also measures: it is linear, and a difference of two is a length.
    const scale: Scale = { width, x: (at) => ((at - start) / WINDOW_MS) * width }
    for (const lane of this.#lanes) lane.draw(vitals, scale)
    this.#drawFaults(vitals.now, scale)
  }

  #drawGrid(): void {
    const lines = MARKS_S.map((mark) => round((1 - mark / 60) * (this.#width - 1)) + 0.5)
    this.#grid.setAttribute('d', lines.map((x) => `M${x} 0V${this.#height}`).join(''))
  }

  #drawFaults(now: number, { x }: Scale): void {
    const periods = this.#recording.faults.within(now)
    let path = ''
    let edges = ''
    const labels: SVGElement[] = []
    let free = Number.NEGATIVE_INFINITY
    for (const { name, from, to } of periods) {
      path += box(x(from), 0, x(to) - x(from), this.#height)
      edges += `M${round(x(from))} 0V${this.#height}`
      const at = Math.min(Math.max(x(from) + 3, free), this.#width - LABEL_WIDTH)
      if (at < free) continue
      labels.push(s('text', { x: round(at), y: 10 }, name))
      free = at + LABEL_WIDTH
    }
    this.#bands.setAttribute('d', path)
    this.#edges.setAttribute('d', edges)
    this.#labels.replaceChildren(...labels)
  }
}
