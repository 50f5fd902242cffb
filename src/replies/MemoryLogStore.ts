// Logs in memory: they survive every connection, and not the process.

import { cutRecord, type LogStep, type LogStore, type LogWrite } from './LogStore.ts'
import { isJson, type LogHead, type LogRecord } from './log.ts'

export class MemoryLogStore implements LogStore {
  readonly #heads = new Map<string, LogHead>()
  readonly #records = new Map<string, LogRecord[]>()

  transact<T>(paths: readonly string[], step: LogStep<T>): T {
    const { result, writes } = step(paths.map((path) => this.#heads.get(path)))
    for (const write of writes) this.#record(write)
    return result
  }

  read(path: string, from: number, maxBytes: number): readonly LogRecord[] {
    const records = this.#records.get(path) ?? []
    const found: LogRecord[] = []
    let bytes = 0
    for (let at = indexOf(records, from); at < records.length && bytes < maxBytes; at += 1) {
      const record = records[at] as LogRecord
      found.push(record)
      bytes += record.data.length
    }
    return found
  }

  list(): Iterable<LogHead> {
    return [...this.#heads.values()]
  }

  close(): void {
    this.#heads.clear()
    this.#records.clear()
  }

  #record(write: LogWrite): void {
    switch (write.kind) {
      case 'put':
        this.#heads.set(write.head.path, write.head)
        return
      case 'append': {
        const records = this.#records.get(write.path)
        if (records) records.push(write.record)
        else this.#records.set(write.path, [write.record])
        return
      }
      case 'copy': {
        const { from, to, until } = write
        const head = this.#heads.get(from)
        const json = head !== undefined && isJson(head)
        const copied = (this.#records.get(from) ?? [])
          .filter(({ position }) => position < until)
          .map((record) => cutRecord(record, until - record.position, json))
        this.#records.set(to, copied)
        return
      }
      case 'remove':
        this.#records.delete(write.path)
        if (write.head) this.#heads.delete(write.path)
    }
  }
}

/** The index of the record that holds a position; the length where none does. */
function indexOf(records: readonly LogRecord[], position: number): number {
  let low = 0
  let high = records.length
  while (low < high) {
    const middle = (low + high) >>> 1
    const { position: start, units } = records[middle] as LogRecord
    if (start + units <= position) low = middle + 1
    else high = middle
  }
  return low
}
