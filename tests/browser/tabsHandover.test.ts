// Tabs of a real browser whose leader goes away without going: into the back/forward cache, frozen, hanging.

import type { Browser, BrowserContext, Page } from 'playwright-core'
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest'
import type { Session } from '../../src/server/Session.ts'
import { SessionServer } from '../../src/server/SessionServer.ts'
import { until } from '../support/misbehavingServer.ts'
import { findChromium, launch } from './chromium.ts'
import { type ModulePage, serveModules } from './modulePage.ts'

const executablePath = findChromium('tabs that go away')

type Modules = typeof import('guru-comms') & typeof import('guru-comms/tabs')
type Shared = ReturnType<Modules['sharedConnection']>
type Options = Parameters<Modules['sharedConnection']>[0]
type InPage = Window & Modules & { shared: Shared; heard: unknown[]; handled: unknown[]; errors: string[] }

describe.skipIf(executablePath === undefined)('tabs in Chromium whose leader goes away', () => {
  let browser: Browser
  let site: ModulePage
  let server: SessionServer
  let context: BrowserContext
  let handled: string[]
  let sessions: Session[]

  beforeAll(async () => {
    site = await serveModules('index.js', 'tabs/index.js')
    browser = await launch(executablePath as string, [], ['--disable-back-forward-cache'])
  }, 60_000)
  afterAll(async () => {
    await browser?.close()
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
  })
  afterEach(async () => {
    await context.close()
    await server.close({ graceMs: 0 })
  })

  async function openTab(options: Partial<Options> = {}, line: object = {}): Promise<Page> {
    const page = await context.newPage()
    await page.goto(site.url)
    await start(page, options, line)
    return page
  }
  async function start(page: Page, options: Partial<Options> = {}, line: object = {}): Promise<void> {
    await page.locator('body.loaded').waitFor({ state: 'attached' })
    await page.evaluate(
      ([given, wanted]) => {
        const here = window as unknown as InPage
        Object.assign(here, { heard: [], handled: [], errors: [] })
        here.shared = here.sharedConnection({
          connect: (storage) =>
            new here.GuruConnection({
              url: `${location.origin}/ws`,
              session: 'required',
              reconnectDelay: 20,
              ...wanted,
              storage,
            }),
          ...given,
        })
        here.shared.on('message', (message) => here.heard.push(message))
        here.shared.handle((message) => void here.handled.push(message))
        here.shared.on('error', (error) => here.errors.push(String(error)))
      },
      [options, line] as const,
    )
  }
  const send = (page: Page, text: string) =>
    page.evaluate((given) => (window as unknown as InPage).shared.send(given).delivered, text)
  const leads = (page: Page) => page.waitForFunction(() => (window as unknown as InPage).shared.leads)
  const heard = (page: Page, count: number) =>
    page.waitForFunction((given) => (window as unknown as InPage).heard.length >= given, count)
  const lists = (page: Page) =>
    page.evaluate(() => {
      const { heard, handled, errors } = window as unknown as InPage
      return { heard, handled, errors }
    })
  const away = (page: Page) => page.goto(`${site.url}away`)
  const back = (page: Page) => page.goBack({ waitUntil: 'commit' })
  const news = Array.from({ length: 20 }, (_, n) => `news ${n}`)
  const tell = () => {
    for (const text of news) sessions[0]?.send(text)
  }

  it('go on when it goes into the back/forward cache, from where it sends on', async () => {
    const leader = await openTab()
    const listener = await openTab()
    await send(leader, 'first')
    await leader.evaluate(() => {
      const here = window as unknown as InPage & { late: Promise<void> }
      here.late = here.shared.send('on the way').delivered
    })
    await away(leader)
    tell()
    await heard(listener, 20)
    expect((await lists(listener)).handled).toEqual(news)
    await back(leader)
    // It is the same page as before.
    await leader.evaluate(() => (window as unknown as InPage & { late: Promise<void> }).late)
    await send(leader, 'last')
    expect(handled).toEqual(['first', 'on the way', 'last'])
    expect(await leader.evaluate(() => (window as unknown as InPage).shared.leads)).toBe(false)
    await listener.close()
    await leads(leader)
    await send(leader, 'leads again')
    expect(sessions).toHaveLength(1)
  })

  it('go on when it is frozen', async () => {
    const leader = await openTab()
    const listener = await openTab()
    await send(listener, 'first')
    // As the browser says it: a driven page is always visible, and never frozen for good.
    await leader.evaluate(() => void document.dispatchEvent(new Event('freeze')))
    tell()
    await heard(listener, 20)
    expect((await lists(listener)).handled).toEqual(news)
    await leader.evaluate(() => void document.dispatchEvent(new Event('resume')))
    await send(leader, 'last')
    expect(handled).toEqual(['first', 'last'])
  })

  it('go on when it hangs, and what it does when it wakes is done once', async () => {
    const leader = await openTab()
    const listener = await openTab()
    await send(listener, 'first')
    const begins = leader.waitForEvent('console')
    const hung = leader.evaluate(async () => {
      const { shared } = window as unknown as InPage
      // Under way when it hangs.
      const { delivered } = shared.send('by the leader')
      delivered.catch((error) => (window as unknown as InPage).errors.push(String(error)))
      console.log('hangs')
      const end = performance.now() + 12_000
      while (performance.now() < end);
    })
    await begins
    tell()
    await heard(listener, 20)
    await send(listener, 'by the listener')
    await hung
    await send(leader, 'last')
    sessions[0]?.send('end')
    await heard(leader, 1)
    await heard(listener, 21)
    await leader.waitForFunction(() => (window as unknown as InPage).heard.includes('end'))
    const [old, next] = [await lists(leader), await lists(listener)]
    expect([...old.handled, ...next.handled].toSorted()).toEqual([...news, 'end'].toSorted())
    expect([...old.errors, ...next.errors]).toEqual([])
    expect(handled.toSorted()).toEqual(['by the leader', 'by the listener', 'first', 'last'])
    expect(sessions).toHaveLength(1)
  }, 60_000)

  it('store what they send when they were opened from a cache, without a network', async () => {
    const page = await context.newPage()
    await page.goto(site.url)
    await page.locator('body.loaded').waitFor({ state: 'attached' })
    await context.setOffline(true)
    await start(page)
    await page.evaluate(() => (window as unknown as InPage).shared.send('offline').stored)
    expect(handled).toEqual([])
    await context.setOffline(false)
    await until(() => handled.length === 1, 'the message', 30_000)
  })

  it('stay responsive while a queue overflows and while thousands are stored', async () => {
    const flood = (page: Page, count: number) =>
      page.evaluate(async (total) => {
        const { shared } = window as unknown as InPage
        let dropped = 0
        shared.on('dropped', () => {
          dropped += 1
        })
        // How long the page was busy at a stretch.
        let busy = 0
        let before = performance.now()
        const { port1, port2 } = new MessageChannel()
        port1.onmessage = () => {
          const now = performance.now()
          busy = Math.max(busy, now - before)
          before = now
          port2.postMessage(0)
        }
        port2.postMessage(0)
        const start = before
        const receipts: Promise<unknown>[] = []
        for (let n = 0; n < total; n += 1) {
          receipts.push(shared.send(`${n}`).stored.catch(() => {}))
          if (n % 100 === 0) await new Promise((resolve) => setTimeout(resolve))
        }
        await Promise.all(receipts)
        const took = performance.now() - start
        port1.close()
        return { took, busy, dropped }
      }, count)
    const offline = await openTab({}, { url: 'ws://127.0.0.1:9' })
    const overflow = await flood(offline, 30_000)
    await offline.evaluate(() => (window as unknown as InPage).shared.wipe())
    await offline.close()
    const roomy = { maxQueueMessages: 100_000 }
    const page = await openTab(roomy, { url: 'ws://127.0.0.1:9', ...roomy })
    const stored = await flood(page, 30_000)
    console.log(JSON.stringify({ overflow, stored }))
    expect(overflow.dropped).toBe(20_000)
    expect(stored.dropped).toBe(0)
    // A machine under load is slow: here only what grows with the number of messages is too slow.
    for (const { busy } of [overflow, stored]) expect(busy).toBeLessThan(2000)
  }, 120_000)

  it('say what is missing, and are wiped everywhere', async () => {
    const page = await context.newPage()
    await page.goto(site.url)
    await page.locator('body.loaded').waitFor({ state: 'attached' })
    const why = (missing: string) =>
      page.evaluate((name) => {
        const here = window as unknown as InPage & Record<string, unknown>
        const owner = name === 'locks' ? navigator : window
        Object.defineProperty(owner, name, { value: undefined, configurable: true })
        try {
          here.sharedConnection({ connect: () => new here.GuruConnection({ url: 'ws://x' }) })
          return ''
        } catch (error) {
          return `${(error as { code: string }).code}: ${(error as Error).message}`
        } finally {
          if (owner === navigator) Reflect.deleteProperty(owner, name)
        }
      }, missing)
    expect(await why('locks')).toMatch(/^UNSUPPORTED: .*Web Locks.*https:/)
    expect(await why('BroadcastChannel')).toMatch(/^UNSUPPORTED: .*BroadcastChannel/)
    const [one, other] = [await openTab(), await openTab()] as const
    await send(other, 'first')
    await other.evaluate(() => (window as unknown as InPage).shared.wipe())
    await one.waitForFunction(() => (window as unknown as InPage).errors.length > 0)
    expect((await lists(one)).errors.join()).toContain('wiped')
    expect(await one.evaluate(async () => (await indexedDB.databases()).length)).toBe(0)
    await send(await openTab(), 'second')
    expect(sessions).toHaveLength(2)
    expect(handled).toEqual(['first', 'second'])
  })
})
