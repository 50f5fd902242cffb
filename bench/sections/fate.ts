// Fate: what becomes of messages under real faults, both ways, with each library. Everyone goes through the same script, with a client,
// a server and a proxy of its own.

import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { handledIn } from '../contestants/fate/contestant.ts'
import { fateContestants } from '../contestants/fate/registry.ts'
import { type Child, start } from '../harness/child.ts'
import { type FaultProxy, startFaultProxy } from '../harness/faultProxy.ts'
import { judge } from '../harness/judge.ts'
import { readLedger } from '../harness/ledger.ts'
import { reason } from '../harness/reason.ts'
import { recordedIn } from '../servers/fateLines.ts'
import { type FateData, type Fault, faults, type Way } from './fateData.ts'
import { tellFate } from './fateTelling.ts'
import type { Context, Section } from './section.ts'

const FLOW_MS = 2000
const DEATH_MS = 1000
const BLACKHOLE_MS = 15_000
/** For a client to be back, and for the last messages to arrive. */
const PATIENCE_MS = 90_000
const QUIET_MS = 5000

const sleep = (ms: number) => new Promise<void>((resolve) => setTimeout(resolve, ms))

/** One contestant's life. */
class Life {
  readonly #id: string
  readonly #folder = mkdtempSync(join(tmpdir(), 'guru-fate-'))
  readonly #patienceMs: number
  readonly #began: { fault: Fault; at: number }[] = []
  #server!: Child
  #client!: Child
  #proxy!: FaultProxy
  #port = 0

  constructor(id: string, patienceMs: number) {
    this.#id = id
    this.#patienceMs = patienceMs
  }

  async begin(): Promise<void> {
    await this.#startServer()
    this.#proxy = await startFaultProxy(this.#port)
    this.#client = await start(new URL('../workers/fate.ts', import.meta.url))
    const origin = `ws://127.0.0.1:${this.#proxy.port}`
    await this.#client.call('begin', { id: this.#id, origin, ledger: this.#ledger('client') })
    await this.#until(async () => (await this.#opens()) > 0)
  }

  /** Does it, and waits until messages have flowed again for a while. */
  async suffer(fault: Fault): Promise<void> {
    const opens = await this.#opens()
    this.#began.push({ fault, at: Date.now() })
    const back = () => this.#until(async () => (await this.#opens()) > opens)
    switch (fault) {
      case 'none':
        break
      case 'cutUp':
      case 'cutDown':
        await this.#proxy.flow(fault === 'cutUp' ? 'client' : 'server')
        this.#proxy.cut()
        await back()
        break
      case 'death':
        await this.#proxy.flow('client')
        this.#server.signal('SIGKILL')
        await Promise.all([this.#server.stop(), sleep(DEATH_MS)])
        await this.#startServer()
        await back()
        break
      case 'blackhole':
        this.#proxy.swallow()
        await sleep(BLACKHOLE_MS)
        this.#proxy.recover()
        await back()
        break
      case 'clientAlone':
        this.#proxy.leaveAlone('client')
        await this.#until(async () => (await this.#opens()) > opens, this.#patienceMs).catch(() => {})
        this.#proxy.recover()
        await back()
        break
      case 'serverAlone':
        this.#proxy.leaveAlone('server')
        await back()
        await sleep(FLOW_MS)
        this.#proxy.recover()
        break
    }
    await sleep(FLOW_MS * (0.75 + Math.random() / 2))
  }

  /** Nothing more is sent; what can still arrive does. */
  async finish(): Promise<void> {
    await Promise.all([this.#client.call('stop'), this.#server.call('stop')])
    let known = ''
    let knownAt = Date.now()
    await this.#until(async () => {
      const fates = this.#judge()
      const now = JSON.stringify(fates)
      if (now !== known) knownAt = Date.now()
      known = now
      return (fates.up.lost === 0 && fates.down.lost === 0) || Date.now() - knownAt > QUIET_MS
    })
  }

  result() {
    const { up, down } = this.#judge()
    const lostBy = Object.fromEntries(Object.keys(faults).map((fault) => [fault, 0])) as Record<Fault, number>
    for (const at of [...up.lostAt, ...down.lostAt]) {
      const { fault } = this.#began.findLast((one) => one.at <= at) ?? { fault: 'none' as const }
      lostBy[fault] += 1
    }
    return { up: { ...up, lostAt: undefined }, down: { ...down, lostAt: undefined }, lostBy }
  }

  async end(): Promise<void> {
    await Promise.all([this.#client?.stop(), this.#server?.stop(), this.#proxy?.close()])
    rmSync(this.#folder, { recursive: true, force: true })
  }

  #judge() {
    const client = readLedger(this.#ledger('client'))
    const server = readLedger(this.#ledger('server'))
    const isRecorded = fateContestants[this.#id]?.server === 'session'
    return {
      up: judge(client, isRecorded ? recordedIn(this.#store) : handledIn(server)),
      down: judge(server, handledIn(client)),
    }
  }

  #ledger(who: 'client' | 'server'): string {
    return join(this.#folder, who)
  }

  get #store(): string {
    return join(this.#folder, 'store.db')
  }

  async #startServer(): Promise<void> {
    this.#server = await start(new URL('../servers/fate.ts', import.meta.url))
    this.#port = await this.#server.call('listen', {
      kind: fateContestants[this.#id]?.server,
      port: this.#port,
      ledger: this.#ledger('server'),
      store: this.#store,
    })
  }

  #opens(): Promise<number> {
    return this.#client.call('opens')
  }

  async #until(holds: () => Promise<boolean>, patienceMs = PATIENCE_MS): Promise<void> {
    const end = Date.now() + patienceMs
    while (!(await holds())) {
      if (Date.now() > end) throw new Error(`it did not come to it within ${patienceMs / 1000} s`)
      await sleep(100)
    }
  }
}

function scriptOf(quick: boolean): Record<Fault, number> {
  return quick
    ? { none: 1, cutUp: 2, cutDown: 2, death: 1, blackhole: 1, clientAlone: 1, serverAlone: 1 }
    : { none: 1, cutUp: 8, cutDown: 8, death: 4, blackhole: 2, clientAlone: 2, serverAlone: 2 }
}

async function measure({ quick, only, log }: Context): Promise<FateData> {
  const ids = Object.keys(fateContestants).filter((id) => only.length === 0 || only.includes(id))
  const data: FateData = {
    fates: {},
    lostBy: {},
    script: scriptOf(quick),
    patienceMs: quick ? 20_000 : 50_000,
    failures: {},
  }
  const script = (Object.keys(faults) as Fault[]).flatMap((fault) =>
    new Array<Fault>(data.script[fault]).fill(fault),
  )
  log(`${ids.length} contestants go through ${script.length - 1} faults, side by side`)
  await Promise.all(
    ids.map(async (id) => {
      const life = new Life(id, data.patienceMs)
      try {
        await life.begin()
        for (const fault of script) await life.suffer(fault)
        await life.finish()
        const { up, down, lostBy } = life.result()
        data.fates[id] = { up, down } satisfies Record<Way, object>
        data.lostBy[id] = lostBy
        log(`${fateContestants[id]?.name}: ${up.lost + down.lost} lost, ${up.doubled + down.doubled} doubled`)
      } catch (error) {
        data.failures[id] = reason(error)
      } finally {
        await life.end()
      }
    }),
  )
  return data
}

export const fate: Section<FateData> = {
  name: 'fate',
  title: 'The fate of messages',
  measure,
  tell: tellFate,
}
