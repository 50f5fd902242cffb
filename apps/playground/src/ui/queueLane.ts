// How many messages wait.

import { formatBytes } from '../model/format.ts'
import type { Samples } from '../model/Samples.ts'
import type { Vitals } from '../model/vitals.ts'
import { Lane, round, type Scale } from './lane.ts'

const HEIGHT = 34
/** The scale never ends below this, so that one message looks like one. */
const LEAST_TOP = 4

export class QueueLane extends Lane {
  readonly #samples: Samples

  constructor(samples: Samples) {
    super('Queue', HEIGHT)
    this.#samples = samples
  }

  draw({ now, queuedMessages, queuedBytes, dropped }: Vitals, { x }: Scale): void {
    const waits = queuedMessages === 0 ? 'nothing waits' : formatBytes(queuedBytes)
    this.read(
      String(queuedMessages),
      dropped > 0 ? `${waits} · ${dropped} dropped` : waits,
      queuedMessages > 0 ? 'held' : '',
    )
    const steps = this.#samples.steps(now)
    const top = Math.max(LEAST_TOP, ...steps.map(({ value }) => value))
    let path = ''
    for (const { at, value } of steps) {
      const y = round(HEIGHT - 1 - (value / top) * (HEIGHT - 4))
      path += path === '' ? `M${round(x(at))} ${y}` : `H${round(x(at))}V${y}`
    }
    if (path !== '') path += `H${round(x(now))}`
    this.trace('step', path)
    this.trace('area', path === '' ? '' : `${path}V${HEIGHT}H${round(x(steps[0]?.at ?? now))}z`)
  }
}
