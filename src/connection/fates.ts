// What became of messages, for those who asked: promises that are made when asked for, and what a late question needs.

import { CommsError, type ErrorCode } from '../core/errors.ts'
import { rejected, unheard } from './receipt.ts'

interface Question {
  readonly promise: Promise<void>
  readonly resolve: () => void
  readonly reject: (error: Error) => void
}

/** So many failures are remembered for whoever asks late. */
const REMEMBERED = 10_000

export class Fates {
  readonly #questions = new Map<number, Question>()
  readonly #failures = new Map<number, { readonly code: ErrorCode; readonly message: string }>()

  /** @param isOpen whether it is still undecided */
  ask(seq: number, isOpen: () => boolean): Promise<void> {
    const known = this.#questions.get(seq)
    if (known) return known.promise
    const failure = this.#failures.get(seq)
    if (failure) return rejected(failure.code, failure.message)
    if (!isOpen()) return Promise.resolve()
    const { promise, resolve, reject } = Promise.withResolvers<void>()
    this.#questions.set(seq, { promise: unheard(promise), resolve, reject })
    return promise
  }

  succeed(seq: number): void {
    // Most messages are never asked about.
    if (this.#questions.size === 0) return
    this.#questions.get(seq)?.resolve()
    this.#questions.delete(seq)
  }

  fail(seq: number, code: ErrorCode, message: string): void {
    this.#questions.get(seq)?.reject(new CommsError(message, { code }))
    this.#questions.delete(seq)
    this.#failures.set(seq, { code, message })
    if (this.#failures.size <= REMEMBERED) return
    const [oldest] = this.#failures.keys()
    this.#failures.delete(oldest as number)
  }

  /** Nothing more will be known. */
  failAll(code: ErrorCode, message: string): void {
    for (const seq of [...this.#questions.keys()]) this.fail(seq, code, message)
  }
}
