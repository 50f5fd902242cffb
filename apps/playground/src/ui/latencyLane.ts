// How long the heartbeat took, on a logarithmic scale: 1 ms and 2 s are both worth seeing, and nothing jumps when one comes.

import { formatMs } from '../model/format.ts'
import type { Samples } from '../model/Samples.ts'
import type { Vitals } from '../model/vitals.ts'
import { Lane, round, type Scale } from './lane.ts'

const HEIGHT = 46
const DECADES = 4
const GUIDES_MS = [10, 100, 1000]
/** Between samples further apart there was silence, not a line. */
const GAP_MS = 7000

export class LatencyLane extends Lane {
  readonly #samples: Samples

  constructor(samples: Samples) {
    super('Heartbeat', HEIGHT)
    this.#samples = samples
  }

  draw({ now, state }: Vitals, { x, width }: Scale): void {
    const { last } = this.#samples
    const median = this.#samples.median(now)
    this.read(
      last === undefined || state !== 'open' ? '–' : formatMs(last),
      median === undefined ? 'no answer yet' : `median ${formatMs(median)}`,
    )
    this.trace('guide', GUIDES_MS.map((ms) => `M0 ${height(ms)}H${round(width)}`).join(''))
    let path = ''
    let dots = ''
    let before = Number.NEGATIVE_INFINITY
    for (const { at, value } of this.#samples.within(now)) {
      const point = `${round(x(at))} ${height(value)}`
      path += `${at - before > GAP_MS ? 'M' : 'L'}${point}`
      dots += `M${point}h0`
      before = at
    }
    this.trace('beat', path)
    this.trace('dots', dots)
  }
}

function height(ms: number): number {
  const share = Math.min(1, Math.log10(Math.max(1, ms)) / DECADES)
  return round(HEIGHT - 4 - share * (HEIGHT - 8))
}
