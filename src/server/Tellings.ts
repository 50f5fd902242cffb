// What listeners are to be told, once the step is over that it follows from: a listener may do anything, and a machine in the
// middle of a step may be called for nothing.

export class Tellings {
  #due: (() => void)[] = []
  #telling = false

  add(tell: () => void): void {
    if (this.#due.length === 0) {
      // One that sends what was dropped, and has it dropped again, must not keep all others from their turn.
      if (this.#telling) setImmediate(() => this.#run())
      else queueMicrotask(() => this.#run())
    }
    this.#due.push(tell)
  }

  #run(): void {
    const due = this.#due
    this.#due = []
    this.#telling = true
    for (const tell of due) tell()
    this.#telling = false
  }
}
