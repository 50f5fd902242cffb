// One piece of work for everyone who asks for the same at the same time.

import { onAbort } from '../../core/abort.ts'
import { AbortError } from '../../core/errors.ts'

interface Flight<T> {
  readonly promise: Promise<T>
  readonly controller: AbortController
  passengers: number
}

/**
 * Shares running operations by key. Each caller can abort alone; the operation is aborted when the last one has.
 * The key must hold everything that makes two answers differ, credentials included.
 */
export class Coalescer<T> {
  readonly #flights = new Map<string, Flight<T>>()

  /** Operations running now. */
  get size(): number {
    return this.#flights.size
  }

  /**
   * Joins the operation that runs under `key`, or starts it.
   * @throws AbortError when this caller's signal aborts; otherwise what the operation throws
   */
  run(key: string, operation: (signal: AbortSignal) => Promise<T>, signal?: AbortSignal): Promise<T> {
    if (signal?.aborted) return Promise.reject(aborted(signal))
    const flight = this.#flights.get(key) ?? this.#start(key, operation)
    flight.passengers += 1
    if (!signal) return flight.promise
    return new Promise((resolve, reject) => {
      const stopListening = onAbort(signal, () => {
        flight.passengers -= 1
        if (flight.passengers === 0) {
          // Nobody waits any more; whoever comes next starts afresh.
          if (this.#flights.get(key) === flight) this.#flights.delete(key)
          flight.controller.abort(signal.reason)
        }
        reject(aborted(signal))
      })
      flight.promise.then(resolve, reject).finally(stopListening)
    })
  }

  #start(key: string, operation: (signal: AbortSignal) => Promise<T>): Flight<T> {
    const controller = new AbortController()
    const run = async () => operation(controller.signal)
    const flight: Flight<T> = { promise: run(), controller, passengers: 0 }
    this.#flights.set(key, flight)
    const land = () => {
      if (this.#flights.get(key) === flight) this.#flights.delete(key)
    }
    flight.promise.then(land, land)
    return flight
  }
}

function aborted(signal: AbortSignal): AbortError {
  return new AbortError('aborted by the caller', { cause: signal.reason })
}
