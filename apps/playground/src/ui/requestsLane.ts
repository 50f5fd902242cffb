// How requests ended, a stack for every second.

import { count } from '../model/format.ts'
import { OUTCOMES, type OutcomeBins } from '../model/OutcomeBins.ts'
import type { Vitals } from '../model/vitals.ts'
import { box, Lane, type Scale } from './lane.ts'

const HEIGHT = 46
/** Where there is room, one request is so high. */
const UNIT = 7

export class RequestsLane extends Lane {
  readonly #bins: OutcomeBins

  constructor(bins: OutcomeBins) {
    super('Requests', HEIGHT)
    this.#bins = bins
  }

  draw({ now, http }: Vitals, { x }: Scale): void {
    this.read(String(http.calls), `${count(http.retries, 'retry', 'retries')} · ${http.failed} failed`)
    const paths = { ok: '', retry: '', limited: '', failed: '' }
    for (const { from, counts } of this.#bins.within(now)) {
      const total = OUTCOMES.reduce((sum, outcome) => sum + counts[outcome], 0)
      const unit = Math.min(UNIT, HEIGHT / total)
      const width = Math.max(1.5, x(this.#bins.binMs) - x(0) - 1.5)
      let y = HEIGHT
      for (const outcome of OUTCOMES) {
        const height = counts[outcome] * unit
        y -= height
        if (height > 0) paths[outcome] += box(x(from), y, width, Math.max(0.8, height - 0.8))
      }
    }
    for (const outcome of OUTCOMES) this.trace(outcome, paths[outcome])
  }
}
