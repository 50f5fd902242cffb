// What a handler is told of a message that it gets, and how it records what it did.

import { TEXT } from '../session/frames.ts'
import type { SessionMessageContext } from './Session.ts'

/** Runs a handler's deed in the store's transaction, with the fact that message `number` is handled. */
export type Recorder = <T>(number: number, run: (database: never) => T) => Promise<T>

export class MessageContext implements SessionMessageContext {
  readonly redelivered: boolean
  /** What a handler records, while it does. */
  recording: Promise<unknown> | undefined
  readonly #host: { readonly sid: string; record: Recorder }
  readonly #number: number
  readonly #stream: number

  constructor(
    host: { readonly sid: string; record: Recorder },
    number: number,
    redelivered: boolean,
    stream: number,
  ) {
    this.#host = host
    this.#number = number
    this.redelivered = redelivered
    this.#stream = stream
  }

  get id(): string {
    return `${this.#host.sid}/${this.#number}`
  }

  get stream(): number | undefined {
    return this.#stream === TEXT ? undefined : this.#stream
  }

  /** A getter, so that it can be taken out of the context. */
  get record(): SessionMessageContext['record'] {
    return <T, Database>(run: (database: Database) => T) => {
      const recorded = this.#host.record(this.#number, run as (database: never) => T)
      this.recording = recorded
      // Who does not wait for it is told of a failure all the same.
      recorded.catch(() => {})
      return recorded
    }
  }

  /** Resolves when the handler, which returned `result`, and what it recorded have settled; `report` is told of failures, of each once. */
  async whenSettled(result: unknown, report: (error: unknown) => void): Promise<void> {
    let reported: unknown
    try {
      await result
    } catch (error) {
      reported = error
      report(error)
    }
    try {
      // Also what nobody waited for: the acknowledgement must not overtake it.
      await this.recording
    } catch (error) {
      if (error !== reported) report(error)
    }
  }
}
