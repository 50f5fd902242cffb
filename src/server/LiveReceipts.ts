// The receipts of one session's messages that are on their way, and who waits until none of them waits for room.

import { CommsError } from '../core/errors.ts'
import { LiveReceipt, messageId } from './sessionReceipt.ts'

export class LiveReceipts {
  readonly #all = new Map<number, LiveReceipt>()
  readonly #withdraw: (seq: number) => boolean
  #ready: PromiseWithResolvers<void> | undefined

  /** @param withdraw takes a message back that has no number yet; says whether it did */
  constructor(withdraw: (seq: number) => boolean) {
    this.#withdraw = withdraw
  }

  add(seq: number): LiveReceipt {
    const receipt = new LiveReceipt(seq, this.#withdraw)
    this.#all.set(seq, receipt)
    return receipt
  }

  /** It was refused: nobody has seen its receipt. */
  forget(seq: number): void {
    this.#all.delete(seq)
  }

  accept(seq: number): void {
    this.#all.get(seq)?.accept()
  }

  arrive(seq: number): void {
    const receipt = this.#all.get(seq)
    this.#all.delete(seq)
    receipt?.arrive()
  }

  drop(seq: number, reason: string): void {
    this.fail(seq, new CommsError(`message ${messageId(seq)} was dropped: ${reason}`, { code: 'DROPPED' }))
  }

  cancel(seq: number): void {
    this.fail(seq, new CommsError(`message ${messageId(seq)} was cancelled`, { code: 'CANCELLED' }))
  }

  fail(seq: number, error: CommsError): void {
    const receipt = this.#all.get(seq)
    this.#all.delete(seq)
    receipt?.fail(error)
  }

  failAll(error: CommsError): void {
    const all = [...this.#all.values()]
    this.#all.clear()
    for (const receipt of all) receipt.fail(error)
    this.#ready?.reject(error)
    this.#ready = undefined
  }

  /** Resolves at the next `ready()`. Nobody has to hear its rejection. */
  whenReady(): Promise<void> {
    if (!this.#ready) {
      this.#ready = Promise.withResolvers<void>()
      this.#ready.promise.catch(() => {})
    }
    return this.#ready.promise
  }

  ready(): void {
    this.#ready?.resolve()
    this.#ready = undefined
  }
}
