// What was asked, what became of it, what is answered. It is told what happens and decides what that means for each
// question; it knows neither the line nor the page.

export type Delivery =
  /** Waits for the line. */
  | 'queued'
  | 'sent'
  /** Pieces of the answer have come. */
  | 'answering'
  | 'answered'
  /** By the reader. */
  | 'stopped'
  /** The session was lost under way: nobody knows what the other side has done. */
  | 'lost'
  /** Never sent, or no more heard of. */
  | 'failed'

/** What a person asks. */
export interface Question {
  readonly text: string
  /** A `data:` URL. */
  readonly image?: string | undefined
}

/** Where the line was cut in the middle of an answer. */
export interface Cut {
  /** How much of the answer had come, in UTF-16 code units. */
  readonly at: number
  /** Milliseconds, on the caller's clock. */
  readonly since: number
  /** Milliseconds until the answer went on; `undefined` while it does not. */
  readonly gapMs: number | undefined
}

/** A question and its answer, as they stand. */
export interface Exchange extends Question {
  readonly id: string
  /** Milliseconds since the epoch. */
  readonly askedAt: number
  readonly delivery: Delivery
  readonly answer: string
  /** Oldest first. The answer has no gap there: what was said meanwhile comes when the line is back. */
  readonly cuts: readonly Cut[]
  /** Why it failed, in words. */
  readonly problem: string | undefined
}

const OVER: ReadonlySet<Delivery> = new Set<Delivery>(['answered', 'stopped', 'lost', 'failed'])

export class Conversation {
  readonly #exchanges = new Map<string, Exchange>()
  /** Told of every exchange that is new or has changed. */
  onChange: (exchange: Exchange) => void = () => {}

  get exchanges(): readonly Exchange[] {
    return [...this.#exchanges.values()]
  }

  /** Whether an answer is under way or waited for. */
  get busy(): boolean {
    return this.exchanges.some(({ delivery }) => !OVER.has(delivery))
  }

  asked(id: string, question: Question, isLineOpen: boolean, now: number): void {
    this.#put({
      ...question,
      id,
      askedAt: now,
      delivery: isLineOpen ? 'sent' : 'queued',
      answer: '',
      cuts: [],
      problem: undefined,
    })
  }

  /** The line is open: what was queued is on its way. */
  lineOpened(): void {
    for (const exchange of this.exchanges)
      if (exchange.delivery === 'queued') this.#put({ ...exchange, delivery: 'sent' })
  }

  /** The line is down: answers that have begun halt, and go on when it is back. @param now milliseconds */
  lineLost(now: number): void {
    for (const exchange of this.exchanges) {
      const { delivery, answer, cuts } = exchange
      if (delivery !== 'answering' || answer === '' || isHalted(exchange)) continue
      this.#put({ ...exchange, cuts: [...cuts, { at: answer.length, since: now, gapMs: undefined }] })
    }
  }

  /** A piece of an answer; after its end nothing is added. @param now milliseconds, on the clock of `lineLost` */
  piece(id: string, text: string, now: number): void {
    if (text === '') return
    this.#change(id, ({ answer, cuts }) => ({
      delivery: 'answering',
      answer: answer + text,
      cuts: cuts.map((cut) => (cut.gapMs === undefined ? { ...cut, gapMs: now - cut.since } : cut)),
    }))
  }

  ended(id: string): void {
    this.#change(id, () => ({ delivery: 'answered' }))
  }

  stopped(id: string): void {
    this.#change(id, () => ({ delivery: 'stopped' }))
  }

  /** @param lost whether the session was lost under way */
  failed(id: string, lost: boolean, problem: string): void {
    this.#change(id, () => ({ delivery: lost ? 'lost' : 'failed', problem }))
  }

  #change(id: string, to: (exchange: Exchange) => Partial<Exchange>): void {
    const exchange = this.#exchanges.get(id)
    if (!exchange || OVER.has(exchange.delivery)) return
    const changed = { ...exchange, ...to(exchange) }
    // A cut that nothing follows cut nothing in two.
    const cuts = changed.cuts.filter(({ gapMs }) => gapMs !== undefined)
    this.#put(OVER.has(changed.delivery) ? { ...changed, cuts } : changed)
  }

  #put(exchange: Exchange): void {
    this.#exchanges.set(exchange.id, exchange)
    this.onChange(exchange)
  }
}

/** Whether an answer waits for the line to go on. */
export function isHalted({ delivery, cuts }: Exchange): boolean {
  return delivery === 'answering' && cuts.at(-1)?.gapMs === undefined && cuts.length > 0
}
