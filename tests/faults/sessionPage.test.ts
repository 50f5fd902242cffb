// A page with its outbox in IndexedDB is reloaded, frozen, left and returned to, and its process is killed, while it sends
// and handles: what was stored arrives, and what the server sends is recorded, once.

import type { Browser, BrowserContext, Page } from 'playwright-core'
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest'
import type { Session } from '../../src/server/Session.ts'
import { SessionServer } from '../../src/server/SessionServer.ts'
import { findChromium, killRenderer, launch, PATIENCE_MS, rendererIds } from '../browser/chromium.ts'
import { type ModulePage, serveModules } from '../browser/modulePage.ts'
import { LONG } from '../support/proofs.ts'
import { until } from './sessionRun.ts'

const executablePath = findChromium('a session whose page is reloaded or killed')

type Modules = typeof import('guru-comms') & typeof import('guru-comms/storage/indexeddb')
interface InPage extends Window, Modules {
  connection: import('guru-comms').GuruConnection
  outbox: ReturnType<Modules['indexedDbOutbox']>
  sending: boolean
  errors: string[]
}

const ENDS = LONG ? 5 : 2

describe.skipIf(executablePath === undefined)('a session of a page in Chromium', () => {
  let browser: Browser
  let site: ModulePage
  let context: BrowserContext
  let server: SessionServer
  let sessions: Session[]
  let handled: number[]
  let pushed: number

  beforeAll(async () => {
    site = await serveModules('index.js', 'storage/indexeddb/index.js')
    // Else no page would be kept when it is left.
    browser = await launch(executablePath as string, [], ['--disable-back-forward-cache'])
  })
  afterAll(async () => {
    await browser?.close()
    await site?.close()
  })
  beforeEach(async () => {
    sessions = []
    handled = []
    pushed = 0
    server = new SessionServer({ pingInterval: 1000, pongTimeout: 1000 })
    server.onSession((session) =>
      session.handle((message) => {
        if (!sessions.includes(session)) sessions.push(session)
        handled.push((message as { n: number }).n)
        pushed += 1
        session.send({ n: pushed })
      }),
    )
    server.attach(site.server)
    context = await browser.newContext()
    context.setDefaultTimeout(PATIENCE_MS)
  })
  afterEach(async () => {
    await context.close()
    await server.close({ graceMs: 0 })
  })

  /** The page takes up what its outbox holds, and sends counters; how far it came it notes before, and what was stored after. */
  async function start(page: Page, sending: boolean): Promise<void> {
    await page.locator('body.loaded').waitFor({ state: 'attached' })
    await page.evaluate((maySend) => {
      const here = window as unknown as InPage
      // A page that comes back as it was left has all this.
      const kept = here.connection !== undefined
      here.sending = maySend
      if (kept) return
      here.errors = []
      here.outbox = here.indexedDbOutbox({ stores: { seen: { autoIncrement: true } }, lockTimeout: 20_000 })
      here.connection = new here.GuruConnection({
        url: `${location.origin}/ws`,
        session: 'required',
        reconnectDelay: 20,
        storage: here.outbox,
      })
      here.connection.on('error', (error) => {
        // The line may break as it likes.
        const { code } = error as { code?: string }
        if (code !== 'CONNECTION' && code !== 'TIMEOUT') here.errors.push(String(error))
      })
      here.connection.on('sessionLost', ({ reason }) => here.errors.push(`lost: ${reason}`))
      here.connection.handle((message, { record }) =>
        record((transaction) => {
          ;(transaction as IDBTransaction).objectStore('seen').add((message as { n: number }).n)
        }),
      )
      const go = async () => {
        let n = Number(localStorage.getItem('sending') ?? 0)
        while (here.sending) {
          n += 1
          const sent = n
          localStorage.setItem('sending', `${sent}`)
          here.connection.send({ n: sent }).stored.then(
            () => {
              const stored = JSON.parse(localStorage.getItem('stored') ?? '[]')
              localStorage.setItem('stored', JSON.stringify([...stored, sent]))
            },
            () => {},
          )
          await new Promise((resolve) => setTimeout(resolve, Math.random() * 6))
        }
      }
      void go()
    }, sending)
  }

  /** What the page's handlers have recorded, in that order. */
  const seen = (page: Page) =>
    page.evaluate(async () => {
      const here = window as unknown as InPage
      const open = indexedDB.open('guru-outbox-default')
      await new Promise((resolve) => open.addEventListener('success', resolve))
      const all = open.result.transaction('seen').objectStore('seen').getAll()
      await new Promise((resolve) => all.addEventListener('success', resolve))
      open.result.close()
      return { numbers: all.result as number[], errors: here.errors }
    })
  const progress = async (page: Page) =>
    page.evaluate(() => (JSON.parse(localStorage.getItem('stored') ?? '[]') as number[]).length)

  const ends: readonly [string, (page: Page) => Promise<Page>][] = [
    [
      'is reloaded',
      async (page) => {
        await page.reload()
        return page
      },
    ],
    [
      'is killed with its process',
      async (page) => {
        await killRenderer(browser, page)
        const next = await context.newPage()
        await next.goto(site.url)
        await page.close()
        return next
      },
    ],
    [
      'is left, and returned to',
      async (page) => {
        await page.goto(`${site.url}elsewhere`)
        // One that comes back as it was is not loaded.
        await page.goBack({ waitUntil: 'commit' })
        return page
      },
    ],
    [
      'is frozen with its process until the server has given its connection up, and thawed',
      async (page) => {
        const frozen = await rendererIds(browser)
        for (const id of frozen) process.kill(id, 'SIGSTOP')
        await until(() => sessions.every(({ connected }) => !connected))
        for (const id of frozen) process.kill(id, 'SIGCONT')
        return page
      },
    ],
  ]

  it.each(ends)(
    'that %s in mid-flush, again and again: all that was stored arrives, all that was sent to it is recorded, once',
    async (_what, end) => {
      let page = await context.newPage()
      await page.goto(site.url)
      for (let count = 0; count < ENDS; count += 1) {
        await start(page, true)
        const [stored, heard] = [await progress(page), handled.length]
        await page.waitForFunction(
          (before) => (JSON.parse(localStorage.getItem('stored') ?? '[]') as number[]).length > before + 20,
          stored,
        )
        await until(() => handled.length > heard + 20)
        page = await end(page)
      }
      await start(page, false)
      const last = await page.evaluate(() => {
        const here = window as unknown as InPage
        const n = Number(localStorage.getItem('sending')) + 1
        return here.connection.send({ n }).delivered.then(() => n)
      })
      const stored = await page.evaluate(() => JSON.parse(localStorage.getItem('stored') ?? '[]') as number[])
      expect(handled).toEqual(handled.toSorted((one, other) => one - other))
      expect(new Set(handled).size).toBe(handled.length)
      expect(stored.filter((n) => !handled.includes(n))).toEqual([])
      expect(handled.at(-1)).toBe(last)
      expect(handled.length).toBeGreaterThan(20 * ENDS)

      expect(sessions).toHaveLength(1)
      await sessions[0]?.send({ n: pushed + 1 }).delivered
      const { numbers, errors } = await seen(page)
      expect(numbers).toEqual(Array.from({ length: pushed + 1 }, (_, index) => index + 1))
      expect(errors).toEqual([])
    },
  )
})
