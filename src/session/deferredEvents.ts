// What listeners are to hear, in the order of what happened, once the step is over that it follows from: a listener may do
// anything, and a machine in the middle of a step may not be called.

/** Has `run` called later. `again`: it was asked for by one of those that are being told. */
export type Schedule = (run: () => void, again: boolean) => void

export class DeferredEvents {
  readonly #schedule: Schedule | undefined
  #due: (() => void)[] = []
  #telling = false
  readonly #run = () => this.run()

  /** @param schedule absent: whoever takes a step calls `run` at its end */
  constructor(schedule?: Schedule) {
    this.#schedule = schedule
  }

  /** @param tell must not throw */
  add(tell: () => void): void {
    if (this.#due.length === 0) this.#schedule?.(this.#run, this.#telling)
    this.#due.push(tell)
  }

  /** Tells them all; those too that come about by it, unless they are scheduled. */
  run(): void {
    if (this.#telling || this.#due.length === 0) return
    this.#telling = true
    const due = this.#due
    if (this.#schedule) this.#due = []
    for (const tell of due) tell()
    if (!this.#schedule) this.#due = []
    this.#telling = false
  }
}
