// When listeners are called: in the order of what happened, and only after the deed, so that whatever a listener
// does then (send, close, dispose, connect) meets a connection that is in order.

export class Speech {
  #words: (() => void)[] | undefined
  #speaking = false

  /** Something to tell, once `speak` is called. */
  say(word: () => void): void {
    this.#words ??= []
    this.#words.push(word)
  }

  /** Tells all that was said, what listeners add meanwhile included; does nothing within itself. */
  speak(): void {
    const words = this.#words
    if (!words || this.#speaking) return
    this.#speaking = true
    // A word is an emit, and emit never throws.
    for (let index = 0; index < words.length; index += 1) words[index]?.()
    this.#words = undefined
    this.#speaking = false
  }
}
