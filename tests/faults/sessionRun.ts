// Two programs, a client and a server, whose apps send each other counters and report what they saw; and the judgement on
// that report: nothing lost, nothing out of order, nothing doubled.

import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { appendFileSync, closeSync, mkdtempSync, openSync, readSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { DatabaseSync } from 'node:sqlite'
import { History, type Violation } from '../../src/testing/History.ts'

export type Who = 'client' | 'server'

/** One line of the report; see the programs. */
export interface Line {
  readonly who: Who
  readonly what: string
  readonly n?: number
  readonly port?: number
  readonly redelivered?: boolean
  readonly inDoubt?: readonly number[]
  readonly reason?: string
  readonly code?: string | number
  readonly phase?: string
  readonly message?: string
}

/** Waits until `holds` does; the test's own timeout is the limit. */
export async function until(holds: () => boolean): Promise<void> {
  while (!holds()) await new Promise((resolve) => setTimeout(resolve, 10))
}

export interface RunOptions {
  /** Client and server survive their death. */
  readonly durable: boolean
  /** Handlers record themselves in the store's transaction. */
  readonly transact?: boolean
  /** Several servers have one store. */
  readonly shared?: boolean
  readonly client?: object
  readonly server?: object
  /** Milliseconds between bursts, of both. @default 10 */
  readonly every?: number
}

export class SessionRun {
  readonly lines: Line[] = []
  readonly folder = mkdtempSync(join(tmpdir(), 'guru-faults-'))
  readonly #options: RunOptions
  readonly #report = join(this.folder, 'report')
  readonly #children = new Map<ChildProcess, Who>()
  #position = 0
  #rest = ''

  constructor(options: RunOptions) {
    this.#options = options
    writeFileSync(this.#report, '')
  }

  get storeFile(): string {
    return join(this.folder, 'server.db')
  }

  /** Starts a server; port 0 for any. Resolves when it listens. @param from where its counters begin */
  async startServer(port = 0, from = 0): Promise<{ child: ChildProcess; port: number }> {
    const child = this.spawnServer(port, from)
    const line = await this.#started(child, 'server')
    return { child, port: line?.port ?? port }
  }

  /** Starts a client of the server at this port. Resolves when it runs. */
  async startClient(port: number): Promise<ChildProcess> {
    const child = this.spawnClient(port)
    await this.#started(child, 'client')
    return child
  }

  spawnServer(port: number, from = 0): ChildProcess {
    const { durable, transact, server, shared } = this.#options
    const store = durable ? this.storeFile : undefined
    return this.#start('server', { port, from, transact, server, store, shared })
  }

  spawnClient(port: number): ChildProcess {
    const { durable, transact, client } = this.#options
    const outbox = durable ? join(this.folder, 'client.db') : undefined
    const url = `ws://127.0.0.1:${port}/ws`
    return this.#start('client', { url, transact, connection: client, outbox })
  }

  /** Kills it at once (SIGKILL), and notes it in the report when it is dead. */
  async kill(child: ChildProcess): Promise<void> {
    const who = this.#children.get(child) as Who
    const gone = child.exitCode === null && child.signalCode === null && once(child, 'exit')
    child.kill('SIGKILL')
    await gone
    this.#children.delete(child)
    appendFileSync(this.#report, `${JSON.stringify({ who, what: 'died' })}\n`)
  }

  /** All that has been reported so far. */
  read(): readonly Line[] {
    const fd = openSync(this.#report, 'r')
    const buffer = Buffer.alloc(65_536)
    for (;;) {
      const count = readSync(fd, buffer, 0, buffer.length, this.#position)
      if (count === 0) break
      this.#position += count
      const lines = (this.#rest + buffer.toString('utf8', 0, count)).split('\n')
      this.#rest = lines.pop() as string
      for (const line of lines) this.lines.push(JSON.parse(line))
    }
    closeSync(fd)
    return this.lines
  }

  count(who: Who, ...what: readonly string[]): number {
    return this.read().filter((line) => line.who === who && what.includes(line.what)).length
  }

  /** How many messages this side has handled, whichever way. */
  handled(who: Who): number {
    return this.count(who, 'handled', 'recorded')
  }

  /** The ends of sessions that were told. */
  lost(who: Who): readonly Line[] {
    return this.read().filter((line) => line.who === who && line.what === 'lost')
  }

  /** Errors that no break of a line explains. */
  failures(who: Who): readonly Line[] {
    const errors = this.read().filter((line) => line.who === who && line.what === 'error')
    return errors.filter(({ code }) => code !== 'CONNECTION' && code !== 'TIMEOUT')
  }

  /** Tells both to send one more and stop; resolves when these have been handled, and so all before them. */
  async finish(): Promise<void> {
    for (const child of this.#children.keys()) child.stdin?.write('stop\n')
    for (const one of ['client', 'server'] as const) {
      let last: Line | undefined
      await until(() => {
        last = this.read().findLast(({ who, what }) => who === one && what === 'stopped')
        return last !== undefined
      })
      await until(() =>
        this.read().some(({ who, what, n }) => who === one && what === 'delivered' && n === last?.n),
      )
    }
  }

  /** All that was wrong, in both directions. */
  judge(): Violation[] {
    this.read()
    return [...this.#judge('client', 'server'), ...this.#judge('server', 'client')]
  }

  async end(): Promise<void> {
    for (const child of this.#children.keys()) await this.kill(child)
    rmSync(this.folder, { recursive: true, force: true })
  }

  #judge(from: Who, to: Who): Violation[] {
    const { transact = false, durable } = this.#options
    const history = new History({ exactlyOnce: transact })
    const unconfirmed = new Set<string>()
    const receipts: string[] = []
    for (const { who, what, n, redelivered = false, inDoubt } of this.lines) {
      const name = `${from} ${n}`
      if (who === from) {
        if (what === 'sending') {
          history.sent(name)
          unconfirmed.add(name)
        } else if (what === 'stored') unconfirmed.delete(name)
        else if (what === 'dropped') history.dropped(name)
        else if (what === 'lost') for (const doubtful of inDoubt ?? []) history.inDoubt(`${from} ${doubtful}`)
        else if (what === 'delivered') {
          if (transact) receipts.push(name)
          else history.delivered(name)
        } else if (what === 'died') {
          history.senderDied()
          if (durable) for (const one of unconfirmed) history.senderForgot(one)
          else history.senderForgot()
          unconfirmed.clear()
        }
      } else if (what === 'handled') history.handled(name, redelivered)
      else if (what === 'died') history.receiverDied()
    }
    if (transact) {
      for (const n of this.#recorded(to)) history.handled(`${from} ${n}`, false)
      for (const name of receipts) history.delivered(name)
    }
    return [...history.check()]
  }

  /** What the handlers of one side recorded in their transactions, in that order. */
  #recorded(who: Who): number[] {
    const database = new DatabaseSync(join(this.folder, `${who}.db`))
    const rows = database.prepare('SELECT n FROM seen ORDER BY rowid').all()
    database.close()
    return rows.map(({ n }) => Number(n))
  }

  #start(who: Who, options: object): ChildProcess {
    const program = join(import.meta.dirname, who === 'client' ? 'sessionClient.mjs' : 'sessionServer.mjs')
    const given = JSON.stringify({ report: this.#report, every: this.#options.every, ...options })
    const child = spawn(process.execPath, ['--no-warnings', program, given], {
      stdio: ['pipe', 'ignore', 'inherit'],
    })
    child.stdin?.on('error', () => {})
    this.#children.set(child, who)
    return child
  }

  /** Its `started`; `undefined` when it died before. */
  async #started(child: ChildProcess, who: Who): Promise<Line | undefined> {
    this.read()
    const from = this.lines.length
    let line: Line | undefined
    await until(() => {
      line = this.read().find((one, index) => index >= from && one.who === who && one.what === 'started')
      return line !== undefined || child.exitCode !== null || child.signalCode !== null
    })
    return line
  }
}
