// What the apps at both ends of a line saw, and whether it can be: nothing lost, nothing doubled, nothing out of order.
// One History per direction. It knows messages by the names that the app gave them.

/** One thing that is wrong, in words. */
export type Violation = string

interface Sent {
  readonly order: number
  handled: number
  fate: 'open' | 'dropped' | 'inDoubt'
  delivered: boolean
  resent: boolean
}

export interface HistoryOptions {
  /** Handlers record themselves in a transaction of the store: then nothing may be doubled, not even after a death. @default false */
  readonly exactlyOnce?: boolean | undefined
}

export class History {
  readonly #sent = new Map<string, Sent>()
  readonly #violations: Violation[] = []
  readonly #exactlyOnce: boolean
  #lastHandled = -1
  /** Deaths of the receiver: a message may be handed over again after one. */
  #deaths = 0
  #handledSinceDeath = new Set<string>()

  constructor({ exactlyOnce = false }: HistoryOptions = {}) {
    this.#exactlyOnce = exactlyOnce
  }

  /** How many messages were accepted. */
  get accepted(): number {
    return this.#sent.size
  }

  /** Of them: how many were handled, were reported as dropped, were reported in doubt, and were handled more than once. */
  get counts(): { handled: number; dropped: number; inDoubt: number; doubled: number } {
    const all = [...this.#sent.values()]
    return {
      handled: all.filter(({ handled }) => handled > 0).length,
      dropped: all.filter(({ fate }) => fate === 'dropped').length,
      inDoubt: all.filter(({ fate }) => fate === 'inDoubt').length,
      doubled: all.filter(({ handled }) => handled > 1).length,
    }
  }

  /** The sender's app has sent a message, and it was accepted. */
  sent(name: string): void {
    if (this.#sent.has(name)) throw new Error(`History: the message "${name}" was sent before`)
    this.#sent.set(name, {
      order: this.#sent.size,
      handled: 0,
      fate: 'open',
      delivered: false,
      resent: false,
    })
  }

  /** The receiver's app has been given a message. */
  handled(name: string, redelivered: boolean): void {
    const message = this.#sent.get(name)
    if (!message) {
      this.#violations.push(`"${name}" was handled and never sent`)
      return
    }
    const again = this.#handledSinceDeath.has(name)
    this.#handledSinceDeath.add(name)
    message.handled += 1
    if (message.fate === 'dropped')
      this.#violations.push(`"${name}" was handled after it was reported as dropped`)
    if (message.handled > 1 && !message.resent) {
      if (again) this.#violations.push(`"${name}" was handled twice by one process`)
      else if (this.#exactlyOnce)
        this.#violations.push(`"${name}" was handled twice, although its handler recorded it`)
      else if (this.#deaths === 0 || !redelivered)
        this.#violations.push(`"${name}" was handled again without being flagged as redelivered`)
    }
    if (message.handled === 1 && !message.resent) {
      if (message.order < this.#lastHandled) this.#violations.push(`"${name}" was handled after a later one`)
      this.#lastHandled = Math.max(this.#lastHandled, message.order)
    }
  }

  /** The sender's app was told that a message will not arrive. */
  dropped(name: string): void {
    const message = this.#of(name)
    if (message.handled > 0) this.#violations.push(`"${name}" was reported as dropped and had been handled`)
    message.fate = 'dropped'
  }

  /** The sender's app was told that it will never be known. */
  inDoubt(name: string, resent = false): void {
    const message = this.#of(name)
    if (message.delivered)
      this.#violations.push(`"${name}" was reported in doubt after its receipt was given`)
    if (resent) message.resent = true
    else message.fate = 'inDoubt'
  }

  /** The sender's app was given the receipt. */
  delivered(name: string): void {
    const message = this.#of(name)
    message.delivered = true
    if (message.handled === 0) this.#violations.push(`"${name}" has a receipt and was never handled`)
  }

  /** The receiver's process died. */
  receiverDied(): void {
    this.#deaths += 1
    this.#handledSinceDeath = new Set()
  }

  /** The sender's process died: the next one may not know any more which receipts were given. */
  senderDied(): void {
    for (const message of this.#sent.values()) message.delivered = false
  }

  /**
   * The sender's process died: what it held in memory alone it can report to nobody.
   * @param name a message whose acceptance was not confirmed yet; without it, all
   */
  senderForgot(name?: string): void {
    const names = name === undefined ? [...this.#sent.keys()] : [name]
    for (const one of names) {
      const message = this.#of(one)
      if (message.handled === 0) message.fate = 'inDoubt'
    }
  }

  /** Once the line has been up for long enough: all that is wrong. Empty: nothing was lost, doubled or reordered. */
  check(): readonly Violation[] {
    const lost = [...this.#sent].filter(([, { handled, fate }]) => handled === 0 && fate === 'open')
    return [
      ...this.#violations,
      ...lost.map(([name]) => `"${name}" was accepted and neither handled nor reported`),
    ]
  }

  #of(name: string): Sent {
    const message = this.#sent.get(name)
    if (!message) throw new Error(`History: the message "${name}" was never sent`)
    return message
  }
}
