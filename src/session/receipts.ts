// What `send` gives back on both sides: a name for the message and, for who asks, its fate. The promises are made when they
// are asked for: most senders never do, and then a message costs nothing here.

import { CommsError, type ErrorCode } from '../core/errors.ts'

/** The fate of one message. */
export interface Receipt {
  /** Names the message in the events `dropped` and `delivered`; unique within its connection object or session. */
  readonly id: string
  /**
   * Resolves once the message is accepted: on the wire, in the queue or, with a storage, recorded there. Rejects `DROPPED` when
   * there was no room for it, or, for a volatile one, no line.
   */
  readonly stored: Promise<void>
  /**
   * Resolves when the other side's handler has settled. Rejects `DROPPED` when it was dropped, `CANCELLED` when it was taken
   * back, `SESSION_LOST` when that will never be known, `UNSUPPORTED` where only a session could know. Nobody has to hear a
   * rejection.
   */
  readonly delivered: Promise<void>
  /** Takes the message out of the queue. Returns false when it was not there: sent, dropped or cancelled before. */
  cancel(): boolean
}

/** The name of the message with this number of its sender's. */
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

/** Who knows what becomes of a message. */
export interface ReceiptOwner {
  idOf(seq: number): string
  /** Settles once the message is accepted. */
  stored(seq: number): Promise<void>
  /** Settles once the other side has handled it. */
  delivered(seq: number): Promise<void>
  cancel(seq: number): boolean
}

/** A receipt of a message that is on its way. */
export class MessageReceipt implements Receipt {
  readonly #owner: ReceiptOwner
  readonly #seq: number

  constructor(owner: ReceiptOwner, seq: number) {
    this.#owner = owner
    this.#seq = seq
  }

  get id(): string {
    return this.#owner.idOf(this.#seq)
  }

  get stored(): Promise<void> {
    return this.#owner.stored(this.#seq)
  }

  get delivered(): Promise<void> {
    return this.#owner.delivered(this.#seq)
  }

  cancel(): boolean {
    return this.#owner.cancel(this.#seq)
  }
}

/** A receipt of a message whose fate is known from the beginning. */
export class SettledReceipt implements Receipt {
  readonly id: string
  readonly #stored: CommsError | undefined
  readonly #delivered: CommsError

  constructor(id: string, stored: CommsError | undefined, delivered: CommsError) {
    this.id = id
    this.#stored = stored
    this.#delivered = delivered
  }

  get stored(): Promise<void> {
    return this.#stored ? unheard(Promise.reject(this.#stored)) : Promise.resolve()
  }

  get delivered(): Promise<void> {
    return unheard(Promise.reject(this.#delivered))
  }

  cancel(): boolean {
    return false
  }
}

const UNKNOWABLE = new CommsError('delivered: nobody acknowledges a volatile message', {
  code: 'UNSUPPORTED',
})

/** A volatile message that is on the wire. */
export const SENT_VOLATILE: Receipt = new SettledReceipt('volatile', undefined, UNKNOWABLE)

/** A volatile message that found no connection, or one that takes no more now. */
export const LOST_VOLATILE: Receipt = new SettledReceipt(
  'volatile',
  new CommsError('the volatile message was dropped: there is no connection with room for it', {
    code: 'DROPPED',
  }),
  UNKNOWABLE,
)

/** Why a message did not arrive. */
interface Failure {
  readonly code: ErrorCode
  readonly message: string
  /** Nor was it ever accepted. */
  readonly unstored: boolean
}

/** So many failures are remembered for whoever asks late. */
const REMEMBERED = 1000

export class Receipts {
  readonly #storing = new Map<number, PromiseWithResolvers<void>>()
  readonly #delivering = new Map<number, PromiseWithResolvers<void>>()
  readonly #failures = new Map<number, Failure>()
  /** What failed up to here is not remembered one by one any more. */
  #forgotten = 0
  #closed: { readonly code: ErrorCode; readonly message: string } | undefined

  /** @param isOpen whether it is still to be recorded */
  stored(seq: number, isOpen: () => boolean): Promise<void> {
    const failure = this.#failures.get(seq)
    if (failure?.unstored) return rejected(failure.code, failure.message)
    return isOpen() ? this.#ask(this.#storing, seq) : Promise.resolve()
  }

  /** @param isOpen whether it is still undecided */
  delivered(seq: number, isOpen: () => boolean): Promise<void> {
    const failure = this.#failures.get(seq)
    if (failure) return rejected(failure.code, failure.message)
    if (isOpen()) return this.#ask(this.#delivering, seq)
    if (seq > this.#forgotten) return Promise.resolve()
    return rejected('SESSION_LOST', `message ${messageId(seq)}: what became of it is not remembered any more`)
  }

  accept(seq: number): void {
    settle(this.#storing, seq)?.resolve()
  }

  arrive(seq: number): void {
    settle(this.#storing, seq)?.resolve()
    settle(this.#delivering, seq)?.resolve()
  }

  /** @param unstored it was not even accepted */
  fail(seq: number, code: ErrorCode, message: string, unstored: boolean): void {
    const error = new CommsError(message, { code })
    const storing = settle(this.#storing, seq)
    if (unstored || storing) storing?.reject(error)
    settle(this.#delivering, seq)?.reject(error)
    this.#failures.set(seq, { code, message, unstored: unstored || storing !== undefined })
    if (this.#failures.size <= REMEMBERED) return
    const [oldest] = this.#failures.keys() as MapIterator<number>
    this.#failures.delete(oldest as number)
    this.#forgotten = Math.max(this.#forgotten, oldest as number)
  }

  /** Of those whose fate is open, nothing more will be known. */
  close(code: ErrorCode, message: string): void {
    this.#closed ??= { code, message }
    for (const seq of new Set([...this.#storing.keys(), ...this.#delivering.keys()]))
      this.fail(seq, code, message, false)
  }

  /** What is not recorded yet never will be. */
  failStoring(code: ErrorCode, message: string): void {
    for (const [seq, { reject }] of [...this.#storing]) {
      this.#storing.delete(seq)
      reject(new CommsError(message, { code }))
    }
  }

  #ask(all: Map<number, PromiseWithResolvers<void>>, seq: number): Promise<void> {
    if (this.#closed) return rejected(this.#closed.code, this.#closed.message)
    const known = all.get(seq)
    if (known) return known.promise
    const made = Promise.withResolvers<void>()
    all.set(seq, made)
    return unheard(made.promise)
  }
}

function settle(
  all: Map<number, PromiseWithResolvers<void>>,
  seq: number,
): PromiseWithResolvers<void> | undefined {
  // Most messages are never asked about.
  if (all.size === 0) return undefined
  const asked = all.get(seq)
  all.delete(seq)
  return asked
}
