// A typed event emitter as Node's users know it, with two differences: an `error` nobody listens to
// does not crash the process, and a listener that throws harms neither the emitter nor the others.

// biome-ignore lint/suspicious/noExplicitAny: a listener's arguments are given by the event map
type Listener = ((...args: any[]) => void) & {
  /** What `once` was given, on what stands in its place. */
  readonly listener?: Listener
}

/** The events of a class: name to argument list. */
export type EventMap = Record<string, unknown[]>

/** Names that are no key of the map: messages are also emitted under their own `type`. */
type OtherName<Events, Others extends string> = Others & { readonly [K in keyof Events]?: never }

/** What listeners of an event are given. */
type Arguments<Event> = Event extends unknown[] ? Event : never

/** @typeParam Others names beside those of the map: any, or `never` where all of them are known */
export class Emitter<Events extends object, Others extends string = string> {
  // Made at the first listener: an idle object costs one pointer. The lists are never changed in place, so that a
  // listener may add and remove while one is being walked.
  #lists: Map<string, readonly Listener[]> | undefined

  /** Calls `listener` at every `name`; the same listener added twice is called twice. */
  on<K extends keyof Events & string>(name: K, listener: (...args: Arguments<Events[K]>) => void): this
  on(name: OtherName<Events, Others>, listener: Listener): this
  on(name: string, listener: Listener): this {
    if (typeof listener !== 'function') {
      throw new TypeError(`listener of "${name}" must be a function, got ${typeof listener}`)
    }
    this.#lists ??= new Map()
    this.#lists.set(name, [...this.#list(name), listener])
    return this
  }

  /** Calls `listener` at the next `name` only. */
  once<K extends keyof Events & string>(name: K, listener: (...args: Arguments<Events[K]>) => void): this
  once(name: OtherName<Events, Others>, listener: Listener): this
  once(name: string, listener: Listener): this {
    const first = (...args: unknown[]): unknown => {
      this.removeListener(name, first)
      return listener.apply(this, args)
    }
    return this.addListener(name, Object.assign(first, { listener }))
  }

  /** Removes the listener that was added last under this name. */
  off<K extends keyof Events & string>(name: K, listener: (...args: Arguments<Events[K]>) => void): this
  off(name: OtherName<Events, Others>, listener: Listener): this
  off(name: string, listener: Listener): this {
    const list = this.#list(name)
    const index = list.findLastIndex((other) => other === listener || other.listener === listener)
    if (index >= 0 && list.length > 1) this.#lists?.set(name, list.toSpliced(index, 1))
    else if (index >= 0) this.#lists?.delete(name)
    return this
  }

  /** Node's name for `on`. */
  addListener(name: string, listener: Listener): this {
    return this.on(name as never, listener)
  }

  /** Node's name for `off`. */
  removeListener(name: string, listener: Listener): this {
    return this.off(name as never, listener)
  }

  /** Removes every listener of one event, or of all. */
  removeAllListeners(name?: string): this {
    if (name === undefined) this.#lists = undefined
    else this.#lists?.delete(name)
    return this
  }

  listenerCount(name: string): number {
    return this.#list(name).length
  }

  listeners(name: string): Listener[] {
    return this.#list(name).map((listener) => listener.listener ?? listener)
  }

  eventNames(): string[] {
    return [...(this.#lists?.keys() ?? [])]
  }

  /** Calls the listeners of `name` in the order they were added. Returns whether there was one. */
  emit<K extends keyof Events & string>(name: K, ...args: Arguments<Events[K]>): boolean
  emit(name: OtherName<Events, Others>, ...args: unknown[]): boolean
  emit(name: string, ...args: unknown[]): boolean {
    const list = this.#list(name)
    for (const listener of list) {
      try {
        const result: unknown = listener.apply(this, args)
        if (result instanceof Promise) result.catch((error) => this.onListenerError(error, name))
      } catch (error) {
        this.onListenerError(error, name)
      }
    }
    return list.length > 0
  }

  /** A listener of `name` threw or rejected. Not silent by default: it is a fault of the app's code. */
  protected onListenerError(error: unknown, name: string): void {
    console.error(`a listener of "${name}" threw:`, error)
  }

  #list(name: string): readonly Listener[] {
    return this.#lists?.get(name) ?? NOBODY
  }
}

const NOBODY: readonly Listener[] = []
