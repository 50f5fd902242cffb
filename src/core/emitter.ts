// A typed event emitter as Node's users know it, with two differences: an `error` nobody listens to
// does not crash the process, and a listener that throws harms neither the emitter nor the others.

// biome-ignore lint/suspicious/noExplicitAny: a listener's arguments are given by the event map
type Listener = (...args: any[]) => void

interface Entry {
  readonly listener: Listener
  readonly once: boolean
}

/** The events of a class: name to argument list. */
export type EventMap = Record<string, unknown[]>

/** Names that are no key of the map: messages are also emitted under their own `type`. */
type OtherName<Events> = string & { readonly [K in keyof Events]?: never }

export class Emitter<Events extends { [K in keyof Events]: unknown[] }> {
  // Made at the first listener: an idle object costs one pointer.
  #entries: Map<string, readonly Entry[]> | undefined

  /** Calls `listener` at every `name`; the same listener added twice is called twice. */
  on<K extends keyof Events & string>(name: K, listener: (...args: Events[K]) => void): this
  on(name: OtherName<Events>, listener: Listener): this
  on(name: string, listener: Listener): this {
    return this.#add(name, listener, false)
  }

  /** Calls `listener` at the next `name` only. */
  once<K extends keyof Events & string>(name: K, listener: (...args: Events[K]) => void): this
  once(name: OtherName<Events>, listener: Listener): this
  once(name: string, listener: Listener): this {
    return this.#add(name, listener, true)
  }

  /** Removes the listener that was added last under this name. */
  off<K extends keyof Events & string>(name: K, listener: (...args: Events[K]) => void): this
  off(name: OtherName<Events>, listener: Listener): this
  off(name: string, listener: Listener): this {
    const entries = this.#entries?.get(name)
    const index = entries?.findLastIndex((entry) => entry.listener === listener) ?? -1
    if (entries && index >= 0) this.#set(name, entries.toSpliced(index, 1))
    return this
  }

  /** Node's name for `on`. */
  addListener(name: string, listener: Listener): this {
    return this.#add(name, listener, false)
  }

  /** Node's name for `off`. */
  removeListener(name: string, listener: Listener): this {
    return this.off(name as never, listener)
  }

  /** Removes every listener of one event, or of all. */
  removeAllListeners(name?: string): this {
    if (name === undefined) this.#entries = undefined
    else this.#entries?.delete(name)
    return this
  }

  listenerCount(name: string): number {
    return this.#entries?.get(name)?.length ?? 0
  }

  listeners(name: string): Listener[] {
    return (this.#entries?.get(name) ?? []).map((entry) => entry.listener)
  }

  eventNames(): string[] {
    return [...(this.#entries?.keys() ?? [])]
  }

  /** Calls the listeners of `name` in the order they were added. Returns whether there was one. */
  emit<K extends keyof Events & string>(name: K, ...args: Events[K]): boolean
  emit(name: OtherName<Events>, ...args: unknown[]): boolean
  emit(name: string, ...args: unknown[]): boolean {
    // The lists are never changed in place, so a listener may add and remove while we walk.
    const entries = this.#entries?.get(name)
    if (!entries) return false
    for (let index = 0; index < entries.length; index += 1) {
      const entry = entries[index] as Entry
      if (entry.once) this.#drop(name, entry)
      try {
        const result: unknown = entry.listener.apply(this, args)
        if (result instanceof Promise) result.catch((error) => this.onListenerError(error, name))
      } catch (error) {
        this.onListenerError(error, name)
      }
    }
    return true
  }

  /** A listener of `name` threw or rejected. Not silent by default: it is a fault of the app's code. */
  protected onListenerError(error: unknown, name: string): void {
    console.error(`a listener of "${name}" threw:`, error)
  }

  #add(name: string, listener: Listener, once: boolean): this {
    if (typeof listener !== 'function') {
      throw new TypeError(`listener of "${name}" must be a function, got ${typeof listener}`)
    }
    this.#entries ??= new Map()
    this.#entries.set(name, [...(this.#entries.get(name) ?? []), { listener, once }])
    return this
  }

  #drop(name: string, entry: Entry): void {
    const entries = this.#entries?.get(name)
    if (entries)
      this.#set(
        name,
        entries.filter((other) => other !== entry),
      )
  }

  #set(name: string, entries: readonly Entry[]): void {
    if (entries.length) this.#entries?.set(name, entries)
    else this.#entries?.delete(name)
  }
}
