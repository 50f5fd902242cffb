// What `send` gives back: a name for the message and, for who asks, its fate.
// The promises are made when they are asked for: most senders never do.

import { CommsError, type ErrorCode } from '../core/errors.ts'
import type { MessageLayer } from './messageLayer.ts'

/** The fate of one message. */
export interface Receipt {
  /** Names the message in the events `dropped` and `delivered`; unique within its connection object. */
  readonly id: string
  /**
   * Resolves once the message is accepted: on the wire, in the queue or, with a storage, recorded there. Rejects `DROPPED` when
   * there was no room for it, or, for a volatile one, no line.
   */
  readonly stored: Promise<void>
  /**
   * Resolves when the other side's handler has settled. Rejects `DROPPED` when it was dropped, `SESSION_LOST` when that will never
   * be known, `UNSUPPORTED` where only a session could know. Nobody has to hear a rejection.
   */
  readonly delivered: Promise<void>
  /** Takes the message out of the queue. Returns false when it was not there: sent, dropped or cancelled before. */
  cancel(): boolean
}

/** The name of the message with this number. */
export function messageId(seq: number): string {
  return `m${seq}`
}

/** The number of the message with this name. */
export function messageSeq(id: string): number {
  return Number(id.slice(1))
}

/** A rejection that nobody has to hear. */
export function rejected(code: ErrorCode, message: string): Promise<never> {
  return unheard(Promise.reject(new CommsError(message, { code })))
}

/** The same promise; that it is rejected never ends the process. */
export function unheard<T>(promise: Promise<T>): Promise<T> {
  promise.catch(() => {})
  return promise
}

/** Whose layer knows what becomes of a message. */
interface ReceiptOwner {
  readonly layer: MessageLayer
  /** Settles when a session's layer has taken the place of the plain one; `undefined` when it has, or never will. */
  readonly sessionToCome: Promise<void> | undefined
}

/** The receipt of a message in the layer that its connection has by the time it is asked. */
export class MessageReceipt implements Receipt {
  readonly #owner: ReceiptOwner
  readonly #seq: number

  constructor(owner: ReceiptOwner, seq: number) {
    this.#owner = owner
    this.#seq = seq
  }

  get id(): string {
    return messageId(this.#seq)
  }

  get stored(): Promise<void> {
    return this.#ask((layer) => layer.stored(this.#seq))
  }

  get delivered(): Promise<void> {
    return this.#ask((layer) => layer.delivered(this.#seq))
  }

  cancel(): boolean {
    return this.#owner.layer.withdraw(this.#seq)
  }

  #ask(question: (layer: MessageLayer) => Promise<void>): Promise<void> {
    const owner = this.#owner
    return owner.sessionToCome
      ? unheard(owner.sessionToCome.then(() => question(owner.layer)))
      : question(owner.layer)
  }
}

/** The receipt of a message that is sent now or never. */
export function volatileReceipt(sent: boolean): Receipt {
  return {
    id: 'volatile',
    get stored() {
      return sent ? Promise.resolve() : rejected('DROPPED', 'there was no line for a volatile message')
    },
    get delivered() {
      return rejected('UNSUPPORTED', 'delivered: nobody acknowledges a volatile message')
    },
    cancel: () => false,
  }
}
