// A tab's own messages until their fate is known: which number they have, whether the leader has them, who waits to hear.

import { CommsError } from '../core/errors.ts'
import { unheard } from '../session/receipts.ts'
import type { TabSendOptions, ToLeader } from './protocol.ts'

/** The fate of one message; nobody has to hear a rejection. */
export interface TabReceipt {
  /** Names the message in the events `dropped` and `delivered`; unique over all tabs. */
  readonly id: string
  /** Resolves once the leading tab has recorded the message. Rejects with the code of the refusal. */
  readonly stored: Promise<void>
  /** Resolves when the server's handler has settled. Rejects `DROPPED`, or `SESSION_LOST` when that will never be known. */
  readonly delivered: Promise<void>
  /**
   * What has been handed to the leading tab cannot be taken back; `ttl` bounds how long it may wait.
   * @throws CommsError `UNSUPPORTED`, always
   */
  cancel(): never
}

/** The error of what a connection of one tab can do and a shared one cannot. @param instead what to do */
export function notShared(what: string, instead: string): CommsError {
  return new CommsError(`${what}: a connection that tabs share cannot do that; ${instead}`, {
    code: 'UNSUPPORTED',
  })
}

function cancel(): never {
  throw notShared('cancel', 'give the message a "ttl" when you send it')
}

interface Sent {
  readonly n: number
  readonly data: string | ArrayBuffer
  readonly options: TabSendOptions | undefined
  readonly stored: PromiseWithResolvers<void>
  readonly delivered: PromiseWithResolvers<void>
}

export class Outgoing {
  readonly #tab: string
  #last = 0
  /** Not known to be recorded, in order. */
  readonly #unconfirmed = new Map<number, Sent>()
  /** Recorded, and undecided. */
  readonly #open = new Map<number, Sent>()

  constructor(tab: string) {
    this.#tab = tab
  }

  /** Messages that the leader may not have. */
  get unconfirmed(): number {
    return this.#unconfirmed.size
  }

  /** @param term the leader that the frame is for; without one it is made when there is one */
  send(
    data: string | ArrayBuffer,
    options: TabSendOptions | undefined,
    term: string | undefined,
  ): { readonly receipt: TabReceipt; readonly frame: ToLeader | undefined } {
    this.#last += 1
    const stored = Promise.withResolvers<void>()
    const delivered = Promise.withResolvers<void>()
    const sent: Sent = { n: this.#last, data, options, stored, delivered }
    this.#unconfirmed.set(sent.n, sent)
    return {
      receipt: {
        id: `${this.#tab}/${sent.n}`,
        stored: unheard(stored.promise),
        delivered: unheard(delivered.promise),
        cancel,
      },
      frame: term === undefined ? undefined : this.#frame(sent, term),
    }
  }

  /** All that a new leader has to be told: what it may not have, in order, and what it shall go on to tell us about. */
  again(term: string): ToLeader[] {
    const frames = Array.from(this.#unconfirmed.values(), (sent) => this.#frame(sent, term))
    if (this.#open.size > 0) frames.push({ t: 'open', term, tab: this.#tab, ns: [...this.#open.keys()] })
    return frames
  }

  /** The leader has it; `error` when it could not be recorded, and is kept in memory. */
  stored(n: number, error?: CommsError): void {
    const sent = this.#unconfirmed.get(n)
    if (!sent) return
    this.#unconfirmed.delete(n)
    this.#open.set(n, sent)
    if (error) sent.stored.reject(error)
    else sent.stored.resolve()
  }

  /** False when it was known. */
  delivered(n: number): boolean {
    this.stored(n)
    const sent = this.#open.get(n)
    this.#open.delete(n)
    sent?.delivered.resolve()
    return sent !== undefined
  }

  /** It will not be handled, or nobody will ever know. False when its fate was known. */
  failed(n: number, error: CommsError): boolean {
    const sent = this.#unconfirmed.get(n) ?? this.#open.get(n)
    this.#unconfirmed.delete(n)
    this.#open.delete(n)
    sent?.stored.reject(error)
    sent?.delivered.reject(error)
    return sent !== undefined
  }

  /** The tab stops. What it recorded is sent all the same; it does not hear of it. */
  close(): void {
    const error = new CommsError('this tab has closed its shared connection', { code: 'DISPOSED' })
    for (const n of [...this.#unconfirmed.keys(), ...this.#open.keys()]) this.failed(n, error)
  }

  #frame({ n, data, options }: Sent, term: string): ToLeader {
    const [base = n] = this.#unconfirmed.keys()
    return { t: 'send', term, tab: this.#tab, n, base, data, options }
  }
}
