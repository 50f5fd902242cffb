// The state of the line, as a signal: the more of a line there is, the higher it stands.

import { count, formatAge, formatSeconds } from '../model/format.ts'
import type { StateHistory } from '../model/StateHistory.ts'
import type { Vitals } from '../model/vitals.ts'
import { box, Lane, type Scale } from './lane.ts'

const HEIGHT = 36
/** How much of the lane a state fills. */
const LEVELS: Readonly<Record<string, number>> = { open: 1, connecting: 0.6, waiting: 0.3 }
const OTHER_LEVEL = 0.1

export class StateLane extends Lane {
  readonly #history: StateHistory

  constructor(history: StateHistory) {
    super('Line', HEIGHT)
    this.#history = history
  }

  draw({ state, attempts, nextAttemptMs, since, now, recoveries }: Vitals, { x }: Scale): void {
    const note =
      nextAttemptMs !== undefined
        ? `attempt ${attempts + 1} in ${formatSeconds(nextAttemptMs)}`
        : state === 'open'
          ? recoveries > 0
            ? `for ${formatAge(now - since)} · ${count(recoveries, 'recovery', 'recoveries')}`
            : `for ${formatAge(now - since)}`
          : attempts > 0
            ? `attempt ${attempts}`
            : ''
    this.read(state, note, state)
    const paths = new Map([...Object.keys(LEVELS), 'other'].map((name) => [name, '']))
    for (const span of this.#history.spans(now)) {
      const name = span.state in LEVELS ? span.state : 'other'
      const height = HEIGHT * (LEVELS[span.state] ?? OTHER_LEVEL)
      // A state of a few milliseconds still deserves a mark.
      const width = Math.max(1.5, x(span.to) - x(span.from))
      paths.set(name, `${paths.get(name)}${box(x(span.from), HEIGHT - height, width, height)}`)
    }
    for (const [name, path] of paths) this.trace(name, path)
  }
}
