// The circuit breaker, as a switch: the trace lies low while current flows and stands high while it is interrupted.

import { formatSeconds } from '../model/format.ts'
import type { StateHistory } from '../model/StateHistory.ts'
import type { BreakerName, Vitals } from '../model/vitals.ts'
import { box, Lane, round, type Scale } from './lane.ts'

const HEIGHT = 30
const LEVELS: Readonly<Record<BreakerName, number>> = { closed: 0.07, 'half-open': 0.5, open: 0.93 }

export class BreakerLane extends Lane {
  readonly #history: StateHistory

  constructor(history: StateHistory) {
    super('Breaker', HEIGHT)
    this.#history = history
  }

  draw({ now, breaker }: Vitals, { x }: Scale): void {
    const { state, failures, requests, probeMs } = breaker
    const note =
      state === 'open' && probeMs !== undefined
        ? `probe in ${formatSeconds(probeMs)}`
        : state === 'half-open'
          ? 'one probe decides'
          : `${failures} of ${requests} failed`
    this.read(state, note, state === 'open' ? 'waiting' : state === 'half-open' ? 'connecting' : 'open')
    let line = ''
    const blocks = { open: '', 'half-open': '' }
    for (const span of this.#history.spans(now)) {
      const name = span.state as BreakerName
      const y = round(HEIGHT - 1 - LEVELS[name] * (HEIGHT - 2))
      line += `${line === '' ? `M${round(x(span.from))} ` : 'V'}${y}H${round(x(span.to))}`
      if (name !== 'closed') blocks[name] += box(x(span.from), y, x(span.to) - x(span.from), HEIGHT - y)
    }
    this.trace('tripped', blocks.open)
    this.trace('probing', blocks['half-open'])
    this.trace('switch', line)
  }
}
