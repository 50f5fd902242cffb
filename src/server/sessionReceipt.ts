// What `session.send` gives back: a name for the message and, for who asks, its fate. The promises are made when they
// are asked for: most senders never do.

import { CommsError } from '../core/errors.ts'

/** The fate of one message. */
export interface SessionReceipt {
  /** Names the message in the events `dropped`, `delivered`, `closed` and `lost`; unique within its session. */
  readonly id: string
  /** Resolves once the message is accepted: it has a place and, with a store, is recorded. Rejects `DROPPED` or `STORAGE`. */
  readonly stored: Promise<void>
  /** Resolves when the client's handler has settled. Rejects `DROPPED`, `CANCELLED` or, when nobody can know, `SESSION_LOST`. */
  readonly delivered: Promise<void>
  /** Takes the message back. Returns false when it was not there: it has a number, was dropped or cancelled before. */
  cancel(): boolean
}

/** The name of the message with this number of its sender's. */
export function messageId(seq: number): string {
  return `m${seq}`
}

type Fate = 'pending' | 'done' | CommsError

/** A receipt of a message that is on its way. */
export class LiveReceipt implements SessionReceipt {
  readonly seq: number
  readonly #withdraw: (seq: number) => boolean
  #storing: Fate = 'pending'
  #delivery: Fate = 'pending'
  #whenStored: PromiseWithResolvers<void> | undefined
  #whenDelivered: PromiseWithResolvers<void> | undefined

  constructor(seq: number, withdraw: (seq: number) => boolean) {
    this.seq = seq
    this.#withdraw = withdraw
  }

  get id(): string {
    return messageId(this.seq)
  }

  get stored(): Promise<void> {
    this.#whenStored ??= asked(this.#storing)
    return this.#whenStored.promise
  }

  get delivered(): Promise<void> {
    this.#whenDelivered ??= asked(this.#delivery)
    return this.#whenDelivered.promise
  }

  cancel(): boolean {
    return this.#withdraw(this.seq)
  }

  accept(): void {
    this.#storing = 'done'
    this.#whenStored?.resolve()
  }

  arrive(): void {
    this.accept()
    this.#delivery = 'done'
    this.#whenDelivered?.resolve()
  }

  fail(error: CommsError): void {
    if (this.#storing === 'pending') {
      this.#storing = error
      this.#whenStored?.reject(error)
    }
    this.#delivery = error
    this.#whenDelivered?.reject(error)
  }
}

/** The promise of an answer that may be there already. Nobody has to hear its rejection. */
function asked(fate: Fate): PromiseWithResolvers<void> {
  const made = Promise.withResolvers<void>()
  made.promise.catch(() => {})
  if (fate === 'done') made.resolve()
  else if (fate !== 'pending') made.reject(fate)
  return made
}

/** The receipt of a message whose fate is known from the beginning. */
export class SettledReceipt implements SessionReceipt {
  readonly id: string
  readonly #stored: CommsError | undefined
  readonly #delivered: CommsError

  constructor(id: string, stored: CommsError | undefined, delivered: CommsError) {
    this.id = id
    this.#stored = stored
    this.#delivered = delivered
  }

  get stored(): Promise<void> {
    return this.#stored ? rejected(this.#stored) : Promise.resolve()
  }

  get delivered(): Promise<void> {
    return rejected(this.#delivered)
  }

  cancel(): boolean {
    return false
  }
}

const UNKNOWABLE = new CommsError('delivered: nobody acknowledges a volatile message', {
  code: 'UNSUPPORTED',
})

/** A volatile message that is on the wire. */
export const SENT_VOLATILE: SessionReceipt = new SettledReceipt('volatile', undefined, UNKNOWABLE)

/** A volatile message that found no connection, or one that takes no more now. */
export const LOST_VOLATILE: SessionReceipt = new SettledReceipt(
  'volatile',
  new CommsError('the volatile message was dropped: there is no connection with room for it', {
    code: 'DROPPED',
  }),
  UNKNOWABLE,
)

function rejected(error: CommsError): Promise<never> {
  const promise = Promise.reject(error)
  promise.catch(() => {})
  return promise
}
