// One connection for the tabs of a real browser, to a real server: tabs crash, are reloaded and closed in mid-stream.

import type { Browser, BrowserContext, Page } from 'playwright-core'
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest'
import type { Session } from '../../src/server/Session.ts'
import { SessionServer } from '../../src/server/SessionServer.ts'
import { seededRandom } from '../../src/testing/seededRandom.ts'
import { until } from '../support/misbehavingServer.ts'
import { findChromium, PATIENCE_MS, sharedBrowser } from './chromium.ts'
import { type ModulePage, serveModules } from './modulePage.ts'

const executablePath = findChromium('tabs that share a connection')

type Modules = typeof import('guru-comms') & typeof import('guru-comms/tabs')
type Shared = ReturnType<Modules['sharedConnection']>
type InPage = Window & Modules & { shared: Shared; heard: unknown[]; stored: number; sending: boolean }

describe.skipIf(executablePath === undefined)('tabs in Chromium', () => {
  let browser: Browser
  let site: ModulePage
  let server: SessionServer
  let context: BrowserContext
  let handled: string[]
  let sessions: Session[]

  beforeAll(async () => {
    site = await serveModules('index.js', 'tabs/index.js')
    browser = await sharedBrowser(executablePath as string)
  })
  afterAll(async () => {
    await site?.close()
  })
  beforeEach(async () => {
    handled = []
    sessions = []
    server = new SessionServer()
    server.onSession((session) => {
      sessions.push(session)
      session.handle((message) => void handled.push(String(message)))
    })
    server.attach(site.server)
    context = await browser.newContext()
    context.setDefaultTimeout(PATIENCE_MS)
  })
  afterEach(async () => {
    await context.close()
    await server.close({ graceMs: 0 })
  })

  async function openTab(): Promise<Page> {
    const page = await context.newPage()
    await page.goto(site.url)
    await start(page)
    return page
  }
  async function start(page: Page): Promise<void> {
    await page.locator('body.loaded').waitFor({ state: 'attached' })
    await page.evaluate(() => {
      const here = window as unknown as InPage
      here.heard = []
      here.shared = here.sharedConnection({
        connect: (storage) =>
          new here.GuruConnection({
            url: `${location.origin}/ws`,
            session: 'required',
            reconnectDelay: 20,
            storage,
          }),
      })
      here.shared.on('message', (message) => here.heard.push(message))
      here.shared.on('error', (error) => here.heard.push(String(error)))
    })
  }
  /** The tab sends `name:1`, `name:2` ... until it is told to stop. */
  const send = (page: Page, name: string) =>
    page.evaluate((given) => {
      const here = window as unknown as InPage
      here.sending = true
      here.stored = 0
      const go = async () => {
        for (let n = 1; here.sending; n += 1) {
          const receipt = here.shared.send(`${given}:${n}`)
          receipt.stored.then(() => {
            here.stored = Math.max(here.stored, n)
          })
          await new Promise((resolve) => setTimeout(resolve, 1))
        }
      }
      void go()
    }, name)
  const stop = (page: Page) =>
    page.evaluate(async () => {
      const here = window as unknown as InPage
      here.sending = false
      const last = here.shared.send('last')
      await last.delivered
      return here.stored
    })
  const leads = (page: Page) => page.evaluate(() => (window as unknown as InPage).shared.leads)
  const numbers = (name: string) =>
    handled.filter((text) => text.startsWith(`${name}:`)).map((text) => Number(text.slice(name.length + 1)))
  const upTo = (count: number) => Array.from({ length: count }, (_, index) => index + 1)

  it('send through one line, and all hear what the server says', async () => {
    const tabs = [await openTab(), await openTab(), await openTab()]
    await Promise.all(
      tabs.map((page, index) =>
        page.evaluate((n) => (window as unknown as InPage).shared.send(`tab ${n}`).delivered, index),
      ),
    )
    expect(handled.toSorted()).toEqual(['tab 0', 'tab 1', 'tab 2'])
    expect(sessions).toHaveLength(1)
    sessions[0]?.send({ type: 'news' })
    for (const page of tabs)
      await page.waitForFunction(() => (window as unknown as InPage).heard.length === 1)
    expect(await Promise.all(tabs.map(leads))).toEqual([true, false, false])
  })

  it.each([
    ['crashes', (page: Page) => crash(page)],
    ['is closed', (page: Page) => page.close()],
  ])('go on in the next when the leading tab %s: none lost, none doubled, in order', async (_, end) => {
    const tabs = [await openTab(), await openTab(), await openTab(), await openTab()]
    for (const [index, page] of tabs.entries()) await send(page, `t${index}`)
    for (const page of tabs.slice(0, 3)) {
      await page.waitForFunction(() => (window as unknown as InPage).shared.leads)
      const before = handled.length
      await until(() => handled.length > before + 50, 'messages')
      await end(page)
    }
    const last = tabs[3] as Page
    await until(() => numbers('t3').length > 100, 'messages of the last')
    const stored = await stop(last)
    const own = numbers('t3')
    expect(own).toEqual(upTo(own.length))
    expect(stored).toBe(own.length)
    for (const index of [0, 1, 2]) {
      const others = numbers(`t${index}`)
      expect(others).toEqual(upTo(others.length))
    }
    expect(sessions).toHaveLength(1)
  })

  it('go on when the only one is reloaded in mid-stream: what it was told is stored arrives, once', async () => {
    const page = await openTab()
    for (let round = 0; round < 3; round += 1) {
      await send(page, `r${round}`)
      await page.waitForFunction(() => (window as unknown as InPage).stored >= 20)
      const stored = await page.evaluate(() => (window as unknown as InPage).stored)
      await page.reload()
      await start(page)
      await page.evaluate(() => (window as unknown as InPage).shared.send('ping').delivered)
      const own = numbers(`r${round}`)
      expect(own).toEqual(upTo(own.length))
      expect(own.length).toBeGreaterThanOrEqual(stored)
    }
    expect(handled.filter((text) => text === 'ping')).toHaveLength(3)
    expect(sessions).toHaveLength(1)
  })

  it('leave a handler’s work to the leading one, and what it recorded to the next', async () => {
    const [one, other] = [await openTab(), await openTab()] as const
    for (const page of [one, other])
      await page.evaluate(() => {
        const here = window as unknown as InPage
        here.shared.handle((message) => void here.heard.push(['handled', message]))
      })
    await other.evaluate(() => (window as unknown as InPage).shared.send('hello').delivered)
    await sessions[0]?.send('work').delivered
    expect(await one.evaluate(() => (window as unknown as InPage).heard)).toContainEqual(['handled', 'work'])
    await one.close()
    await other.waitForFunction(() => (window as unknown as InPage).shared.leads)
    await sessions[0]?.send('more').delivered
    const heard = await other.evaluate(() => (window as unknown as InPage).heard)
    expect(heard).toContainEqual(['handled', 'more'])
    expect(heard).not.toContainEqual(['handled', 'work'])
  })

  const long = process.env.GURU_FLEET === 'full'
  const seeds = process.env.GURU_SEED ? [Number(process.env.GURU_SEED)] : [1]
  it.each(seeds)(
    'handle every message once through a storm of reloads (seed %i)',
    async (seed) => {
      const random = seededRandom(seed)
      const pages: Page[] = []
      let names = 0
      const run = async (page: Page) => {
        names += 1
        await start(page)
        await page.evaluate((name) => {
          const here = window as unknown as InPage & { halt: boolean }
          const go = async () => {
            for (let n = 1; !here.halt; n += 1) {
              // What it was told is stored outlives the page.
              here.shared.send(`${name}:${n}`).stored.then(() => localStorage.setItem(name, `${n}`))
              await new Promise((resolve) => setTimeout(resolve, 20))
            }
          }
          void go()
        }, `p${names}`)
      }
      for (let count = 0; count < (long ? 8 : 5); count += 1) {
        const page = await context.newPage()
        await page.goto(site.url)
        await run(page)
        pages.push(page)
      }
      const end = performance.now() + (long ? 60_000 : 5000)
      let changes = 0
      while (performance.now() < end || changes < 5) {
        const at = Math.floor(random() * pages.length)
        const page = pages[at] as Page
        const how = random()
        if (how < 0.6) await page.reload()
        else {
          if (how < 0.8) await crash(page)
          await page.close()
          pages[at] = await context.newPage()
          await pages[at].goto(site.url)
        }
        await run(pages[at] as Page)
        changes += 1
      }
      for (const page of pages)
        await page.evaluate(() => {
          Object.assign(window, { halt: true })
        })
      const counts = () => {
        const byName = new Map<string, number[]>()
        for (const text of handled) {
          const [name = '', n] = text.split(':')
          byName.set(name, [...(byName.get(name) ?? []), Number(n)])
        }
        return byName
      }
      const last = pages.map((page) =>
        page.evaluate(() => (window as unknown as InPage).shared.send('quiet:0').delivered),
      )
      await Promise.all(last)
      const stored = await (pages[0] as Page).evaluate(() => Object.entries({ ...localStorage }))
      await until(
        () => {
          const found = counts()
          return stored.every(([name, n]) => (found.get(name)?.length ?? 0) >= Number(n))
        },
        'all that was stored',
        10_000,
      )
      for (const [name, numbers] of counts()) {
        if (name === 'quiet') continue
        expect(numbers, name).toEqual(numbers.map((_, index) => index + 1))
      }
      console.log(`seed ${seed}: ${changes} changes, ${handled.length} messages, ${sessions.length} session`)
      expect(sessions).toHaveLength(1)
    },
    180_000,
  )

  async function crash(page: Page): Promise<void> {
    const session = await context.newCDPSession(page)
    const crashed = page.waitForEvent('crash')
    session.send('Page.crash').catch(() => {})
    await crashed
  }
})
