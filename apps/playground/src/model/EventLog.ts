// What requests went through, newest first. Routine that repeats itself takes one line, so that it cannot push out
// what is worth reading.

export type EventKind = 'ok' | 'retry' | 'failed' | 'limited' | 'breaker'

export interface LogEntry {
  readonly id: number
  readonly kind: EventKind
  /** Milliseconds since the epoch: when it happened, for repeated ones the last time. */
  readonly at: number
  /** Such as `GET /v1/models`. */
  readonly subject: string
  readonly text: string
  /** How often, in a row. */
  readonly times: number
  /** Whether it may share a line with its like. */
  readonly routine: boolean
}

export class EventLog {
  readonly #size: number
  #entries: LogEntry[] = []
  #ids = 0
  /** Changes with every entry. */
  version = 0

  constructor(size: number) {
    this.#size = size
  }

  add(entry: Omit<LogEntry, 'id' | 'times'>): void {
    this.version += 1
    const last = this.#entries[0]
    const alike = last?.kind === entry.kind && last.subject === entry.subject
    if (alike && last.routine && entry.routine) {
      this.#entries[0] = { ...entry, id: last.id, times: last.times + 1 }
      return
    }
    this.#ids += 1
    this.#entries = [{ ...entry, id: this.#ids, times: 1 }, ...this.#entries].slice(0, this.#size)
  }

  get entries(): readonly LogEntry[] {
    return this.#entries
  }
}
