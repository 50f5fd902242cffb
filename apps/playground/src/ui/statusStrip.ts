// On a narrow screen: the vital signs in one strip, which opens the instruments.

import { formatMs } from '../model/format.ts'
import type { StateHistory } from '../model/StateHistory.ts'
import { type Recording, type Vitals, WINDOW_MS } from '../model/vitals.ts'
import { h, s, setText } from './dom.ts'
import { icon } from './icons.ts'
import { box } from './lane.ts'

const WIDTH = 600
const HEIGHT = 4
const STATES = ['open', 'connecting', 'waiting']

export class StatusStrip {
  readonly element: HTMLButtonElement
  readonly #history: StateHistory
  readonly #latency: Recording['latency']
  readonly #values: readonly HTMLElement[] = ['Line', 'Heartbeat', 'Queue', 'Breaker'].map(() => h('b', {}))
  readonly #traces = STATES.map((state) => s('path', { class: `trace ${state}` }))

  /** @param onToggle opens or closes the instruments */
  constructor({ line, latency }: Recording, onToggle: () => void) {
    this.#history = line
    this.#latency = latency
    this.element = h(
      'button',
      {
        type: 'button',
        class: 'status-strip',
        'aria-expanded': 'false',
        'aria-controls': 'health',
        onclick: onToggle,
      },
      ...['Line', 'Heartbeat', 'Queue', 'Breaker'].map((name, index) =>
        h('span', { class: 'vital' }, h('span', {}, name), this.#values[index]),
      ),
      icon('open'),
      s(
        'svg',
        {
          viewBox: `0 0 ${WIDTH} ${HEIGHT}`,
          preserveAspectRatio: 'none',
          class: 'mini',
          'aria-hidden': 'true',
        },
        ...this.#traces,
      ),
    )
  }

  draw({ now, state, nextAttemptMs, queuedMessages, breaker }: Vitals): void {
    const latency = this.#latency.last
    const texts = [
      nextAttemptMs === undefined ? state : `${(nextAttemptMs / 1000).toFixed(1)} s`,
      latency === undefined || state !== 'open' ? '–' : formatMs(latency),
      String(queuedMessages),
      breaker.state,
    ]
    for (const [index, text] of texts.entries()) setText(this.#values[index] as HTMLElement, text)
    this.element.dataset.breaker = breaker.state
    const x = (at: number) => (1 - (now - at) / WINDOW_MS) * WIDTH
    const spans = this.#history.spans(now)
    for (const [index, trace] of this.#traces.entries()) {
      const mine = spans.filter((span) => span.state === STATES[index])
      trace.setAttribute(
        'd',
        mine.map(({ from, to }) => box(x(from), 0, Math.max(1.5, x(to) - x(from)), HEIGHT)).join(''),
      )
    }
  }
}
