// How many messages wait for the line, and how many have left and are not acknowledged.

import { formatBytes } from '../model/format.ts'
import type { Sample } from '../model/Samples.ts'
import type { Recording, Vitals } from '../model/vitals.ts'
import { Lane, round, type Scale } from './lane.ts'

const HEIGHT = 34
/** The scale never ends below this, so that one message looks like one. */
const LEAST_TOP = 4

export class QueueLane extends Lane {
  readonly #recording: Recording

  constructor(recording: Recording) {
    super('Queue', HEIGHT)
    this.#recording = recording
  }

  draw({ now, queuedMessages, queuedBytes, dropped, session }: Vitals, { x }: Scale): void {
    const parts = [
      queuedMessages > 0 && formatBytes(queuedBytes),
      session.unacknowledged > 0 && `${session.unacknowledged} unacked`,
      dropped > 0 && `${dropped} dropped`,
    ].filter(Boolean)
    this.read(String(queuedMessages), parts.join(' · ') || 'nothing waits', queuedMessages > 0 ? 'held' : '')
    const waiting = this.#recording.queue.steps(now)
    const unacknowledged = this.#recording.unacknowledged.steps(now)
    const top = Math.max(LEAST_TOP, ...[...waiting, ...unacknowledged].map(({ value }) => value))
    const line = (steps: readonly Sample[]) => {
      let path = ''
      for (const { at, value } of steps) {
        const y = round(HEIGHT - 1 - (value / top) * (HEIGHT - 4))
        path += path === '' ? `M${round(x(at))} ${y}` : `H${round(x(at))}V${y}`
      }
      return path === '' ? '' : `${path}H${round(x(now))}`
    }
    const path = line(waiting)
    this.trace('unacked', line(unacknowledged))
    this.trace('step', path)
    this.trace('area', path === '' ? '' : `${path}V${HEIGHT}H${round(x(waiting[0]?.at ?? now))}z`)
  }
}
