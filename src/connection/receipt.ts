// What `send` gives back: a name for the message and, for who asks, its fate.
// The promises are made when they are asked for: most senders never do.

import { CommsError, type ErrorCode } from '../core/errors.ts'

/** The fate of one message. */
export interface Receipt {
  /** Names the message in the events `dropped` and `delivered`; unique within its connection object. */
  readonly id: string
  /** Resolves once the message is accepted: on the wire, or in the queue. Rejects `DROPPED` when the full queue refused it. */
  readonly stored: Promise<void>
  /** Resolves when the other side's handler has settled: only sessions know that. In plain mode it rejects `UNSUPPORTED`. */
  readonly delivered: Promise<void>
  /** Takes the message out of the queue. Returns false when it was not there: sent, dropped or cancelled before. */
  cancel(): boolean
}

/** What a receipt asks of the layer that made it. */
export interface Withdrawing {
  withdraw(seq: number): boolean
}

/** The name of the message with this number. */
export function messageId(seq: number): string {
  return `m${seq}`
}

/** A rejection that nobody has to hear. */
function rejected(code: ErrorCode, message: string): Promise<never> {
  const promise = Promise.reject(new CommsError(message, { code }))
  promise.catch(() => {})
  return promise
}

/** A receipt in plain mode. */
export class PlainReceipt implements Receipt {
  readonly #layer: Withdrawing
  readonly #seq: number
  readonly #accepted: boolean

  constructor(layer: Withdrawing, seq: number, accepted: boolean) {
    this.#layer = layer
    this.#seq = seq
    this.#accepted = accepted
  }

  get id(): string {
    return messageId(this.#seq)
  }

  get stored(): Promise<void> {
    if (this.#accepted) return Promise.resolve()
    return rejected('DROPPED', `the queue was full: message ${this.id} was dropped`)
  }

  get delivered(): Promise<void> {
    return rejected('UNSUPPORTED', 'delivered: a plain connection cannot know; it takes a session')
  }

  cancel(): boolean {
    return this.#layer.withdraw(this.#seq)
  }
}
