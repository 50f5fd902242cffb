// When sessions record: all that have something to record in a turn together, at its end; what may come late once a second.

import type { StoreWriter } from '../session/storeWriter.ts'
import type { Alarms, Sleeper } from './Alarms.ts'

/** Acknowledged messages may stay in the store for so long. */
const PRUNE_MS = 1000

export class WriteRounds implements Sleeper {
  alarmAt = Infinity
  alarmIndex = -1
  readonly #alarms: Alarms
  #soon: StoreWriter[] = []
  #late = new Set<StoreWriter>()

  constructor(alarms: Alarms) {
    this.#alarms = alarms
  }

  add(writer: StoreWriter, late: boolean, now: number): void {
    if (late) {
      if (this.#late.size === 0) this.#alarms.set(this, now + PRUNE_MS)
      this.#late.add(writer)
      return
    }
    if (this.#soon.length === 0) setImmediate(() => this.#write())
    this.#soon.push(writer)
  }

  /** What may come late is due. */
  wake(): void {
    const late = this.#late
    this.#late = new Set()
    for (const writer of late) writer.flush()
  }

  #write(): void {
    const soon = this.#soon
    this.#soon = []
    for (const writer of soon) writer.flush()
  }
}
