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
  /** The line was lost under way: nobody knows what the other side has done. */
  | 'cut'
  /** Never sent, or no more heard of. */
  | 'failed'

/** What a person asks. */
export interface Question {
  readonly text: string
  /** A `data:` URL. */
  readonly image?: string | undefined
}

/** A question and its answer, as they stand. */
export interface Exchange extends Question {
  readonly id: string
  /** Milliseconds since the epoch. */
  readonly askedAt: number
  readonly delivery: Delivery
  readonly answer: string
  /** Why it failed, in words. */
  readonly problem: string | undefined
}

const OVER: ReadonlySet<Delivery> = new Set<Delivery>(['answered', 'stopped', 'cut', 'failed'])

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
      problem: undefined,
    })
  }

  /** The line is open: what was queued is on its way. */
  lineOpened(): void {
    for (const exchange of this.exchanges)
      if (exchange.delivery === 'queued') this.#put({ ...exchange, delivery: 'sent' })
  }

  /** A piece of an answer; after its end nothing is added. */
  piece(id: string, text: string): void {
    this.#change(id, ({ answer }) => ({ delivery: 'answering', answer: answer + text }))
  }

  ended(id: string): void {
    this.#change(id, () => ({ delivery: 'answered' }))
  }

  stopped(id: string): void {
    this.#change(id, () => ({ delivery: 'stopped' }))
  }

  /** @param cut whether the line was lost under way */
  failed(id: string, cut: boolean, problem: string): void {
    this.#change(id, () => ({ delivery: cut ? 'cut' : 'failed', problem }))
  }

  #change(id: string, to: (exchange: Exchange) => Partial<Exchange>): void {
    const exchange = this.#exchanges.get(id)
    if (exchange && !OVER.has(exchange.delivery)) this.#put({ ...exchange, ...to(exchange) })
  }

  #put(exchange: Exchange): void {
    this.#exchanges.set(exchange.id, exchange)
    this.onChange(exchange)
  }
}
