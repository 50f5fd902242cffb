import { randomBytes } from 'node:crypto'
// The outbox in a real browser's IndexedDB: the suite of all outboxes, then what only browsers do.

import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { Browser, BrowserContext, Page } from 'playwright-core'
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest'
import type { OutboxRecord, OutboxStore, Write } from '../../src/session/store.ts'
import { accept, begin, describeOutbox, entry, epoch, number, rx } from '../support/outboxConformance.ts'
import { findChromium, killRenderer, launchProfile, PATIENCE_MS, sharedBrowser } from './chromium.ts'
import { type ModulePage, serveModules } from './modulePage.ts'

const executablePath = findChromium('the outbox in a browser')

type Module = typeof import('guru-comms/storage/indexeddb')
type Outbox = ReturnType<Module['indexedDbOutbox']>
type Options = NonNullable<Parameters<Module['indexedDbOutbox']>[0]>
type InPage = Window &
  Module & { outboxes: Record<string, Outbox>; encode(value: unknown): string; decode(text: string): Write[] }

/** Both sides of the line to the page: JSON, with bytes as lists. */
const encode = (value: unknown) =>
  JSON.stringify(value, (_, one) => (one instanceof Uint8Array ? { bytes: [...one] } : one))
const decode = (text: string) =>
  JSON.parse(text, (_, one) => (Array.isArray(one?.bytes) ? new Uint8Array(one.bytes) : one))

/** What an error is over there. */
interface Failure {
  readonly failure: {
    readonly name: string
    readonly code: string
    readonly reason: string
    readonly message: string
  }
}

let names = 0

/** An outbox in a page, as if it were here. */
class RemoteOutbox implements OutboxStore {
  readonly #page: () => Page
  readonly #id: string
  readonly #options: Options

  constructor(page: () => Page, options: Options) {
    names += 1
    this.#page = page
    this.#id = `${names}`
    this.#options = options
  }

  load = async () => (await this.#call('load')) as OutboxRecord
  write = async (writes: readonly Write[]) => void (await this.#call('write', writes))
  destroy = async () => void (await this.#call('destroy'))
  close = async () => void (await this.#call('close'))

  async #call(method: 'load' | 'write' | 'destroy' | 'close', argument?: unknown): Promise<unknown> {
    const answer = await this.#page().evaluate(
      async ([id, options, called, text]) => {
        const here = window as unknown as InPage
        here.outboxes ??= {}
        here.outboxes[id] ??= here.indexedDbOutbox(options)
        const outbox = here.outboxes[id] as Outbox
        try {
          const result = called === 'write' ? await outbox.write(here.decode(text)) : await outbox[called]()
          return here.encode({ result })
        } catch (error) {
          const { name, code, reason, message, isStorageError } = error as Error & Record<string, unknown>
          return here.encode({ failure: { name, code, reason, message, isStorageError } })
        }
      },
      [this.#id, this.#options, method, encode(argument) ?? ''] as const,
    )
    const { result, failure } = decode(answer) as { result?: unknown } & Partial<Failure>
    if (failure) throw failure
    return result
  }
}

describe.skipIf(executablePath === undefined)('in Chromium', () => {
  let browser: Browser
  let site: ModulePage
  let context: BrowserContext
  let page: Page

  beforeAll(async () => {
    site = await serveModules('storage/indexeddb/index.js')
    browser = await sharedBrowser(executablePath as string)
  })
  afterAll(async () => {
    await site?.close()
  })
  async function openPage(): Promise<Page> {
    const opened = await context.newPage()
    await opened.addInitScript(`window.encode = ${encode}; window.decode = ${decode}`)
    await opened.goto(site.url)
    await loaded(opened)
    return opened
  }
  const loaded = (one: Page) => one.locator('body.loaded').waitFor({ state: 'attached' })
  beforeEach(async () => {
    context = await browser.newContext()
    context.setDefaultTimeout(PATIENCE_MS)
    page = await openPage()
  })
  afterEach(() => context.close())

  describeOutbox('an outbox of IndexedDB', {
    makePlace: () => {
      names += 1
      const name = `place-${names}`
      return { open: () => new RemoteOutbox(() => page, { name, lockTimeout: 0 }), remove: () => {} }
    },
    runs: 30,
    many: 100_000,
  })

  const remote = (options: Options = {}, where = () => page) => new RemoteOutbox(where, options)

  it('gives the next page what the page had recorded when it was reloaded in mid-flush, and the lock', async () => {
    const outbox = remote()
    await outbox.load()
    await outbox.write([begin('a')])
    for (let round = 0; round < 5; round += 1) {
      // Writes that nobody waits for: the page goes while they are under way.
      await page.evaluate(() => {
        const here = window as unknown as InPage & { count: number }
        const [outbox] = Object.values(here.outboxes) as [Outbox]
        here.count = Number(localStorage.getItem('told') ?? 0)
        const flush = async () => {
          for (;;) {
            here.count += 1
            const message = `message ${here.count}`
            const entry = {
              seq: here.count,
              stream: -1,
              payload: message,
              bytes: 9,
              priority: 0,
              expiresAt: -1,
            }
            await outbox.write([{ kind: 'number', sid: 'a', number: here.count, entry }])
            localStorage.setItem('told', `${here.count}`)
          }
        }
        void flush()
      })
      await page.waitForFunction(() => Number(localStorage.getItem('told')) % 10 === 9)
      await page.reload()
      await loaded(page)
      const { session } = await outbox.load()
      const told = Number(await page.evaluate(() => localStorage.getItem('told')))
      const found = session?.messages.map(({ seq }) => seq) ?? []
      expect(found).toEqual(found.map((_, index) => index + 1))
      // What was told is there; one more may be.
      expect([told, told + 1]).toContain(found.length)
      await page.evaluate((count) => localStorage.setItem('told', `${count}`), found.length)
    }
  })

  it('gives the next page everything when the process of the page is killed', async () => {
    const outbox = remote()
    await outbox.load()
    await outbox.write([begin('a'), number('a', 1, entry(1)), accept(entry(2, new Uint8Array([1, 2])))])
    await killRenderer(browser, page)
    page = await openPage()
    const record = await outbox.load()
    expect(record.session?.messages).toEqual([entry(1)])
    expect(record.waiting).toEqual([entry(2, new Uint8Array([1, 2]))])
  })

  it('has one owner over tabs, and goes to the other when the owner’s tab is closed', async () => {
    const other = await openPage()
    await remote().load()
    const second = remote({ lockTimeout: 20 }, () => other)
    await expect(second.load()).rejects.toMatchObject({
      reason: 'locked',
      message: expect.stringContaining('give this one another "name"'),
    })
    const patient = remote({ lockTimeout: 20_000 }, () => other)
    const load = patient.load()
    await page.close()
    expect(await load).toEqual({ session: undefined, waiting: [] })
    page = other
  })

  /** Set before anything is written: the browser remembers for a while how much room there was. */
  async function limitRoom(bytes?: number): Promise<void> {
    const session = await context.newCDPSession(page)
    const { origin } = new URL(site.url)
    await session.send('Storage.overrideQuotaForOrigin', { origin, ...(bytes && { quotaSize: bytes }) })
  }
  // Text that cannot be compressed: newer browsers count what it takes on the disk.
  const large = number('a', 2, entry(2, randomBytes(6_000_000).toString('base64')))

  it('says that there is no room, keeps what it had, and goes on when there is', async () => {
    await limitRoom(1_000_000)
    const outbox = remote()
    await outbox.load()
    await outbox.write([begin('a'), number('a', 1, entry(1))])
    await expect(outbox.write([large])).rejects.toMatchObject({ reason: 'full', code: 'STORAGE' })
    await limitRoom()
    await outbox.write([large])
    await outbox.close()
    expect((await outbox.load()).session?.messages.map(({ seq }) => seq)).toEqual([1, 2])
  })

  it('can be emptied when there is no room', async () => {
    await limitRoom(1_000_000)
    const outbox = remote()
    await outbox.load()
    await outbox.write([begin('a'), number('a', 1, entry(1))])
    await expect(outbox.write([large])).rejects.toMatchObject({ reason: 'full' })
    await outbox.destroy()
    expect(await outbox.load()).toEqual({ session: undefined, waiting: [] })
  })

  it('says what is wrong when the site’s data is cleared under it', async () => {
    const outbox = remote()
    await outbox.load()
    await outbox.write([begin('a')])
    const session = await context.newCDPSession(page)
    await session.send('Storage.clearDataForOrigin', {
      origin: new URL(site.url).origin,
      storageTypes: 'indexeddb',
    })
    await expect(outbox.write([rx('a', 1)])).rejects.toMatchObject({ reason: 'unavailable' })
    await outbox.destroy()
    expect(await outbox.load()).toEqual({ session: undefined, waiting: [] })
  })

  /** Takes the outbox from an owner that may still run: the lock by stealing it, the data by the owner's token. */
  const steal = (where: Page) =>
    where.evaluate(async () => {
      const name = 'guru-outbox-default'
      void navigator.locks.request(name, { steal: true }, () => new Promise(() => {})).catch(() => {})
      const open = indexedDB.open(name)
      await new Promise((resolve) => open.addEventListener('success', resolve))
      const transaction = open.result.transaction('guru-session', 'readwrite')
      transaction.objectStore('guru-session').put('another', 'owner')
      await new Promise((resolve) => transaction.addEventListener('complete', resolve))
      open.result.close()
    })

  it.each(['write', 'transact', 'destroy'])(
    'is not touched by an owner it was taken from: %s',
    async (method) => {
      const outbox = remote()
      await outbox.load()
      await outbox.write([begin('a'), number('a', 1, entry(1))])
      const other = await openPage()
      await steal(other)
      if (method === 'write')
        await expect(outbox.write([rx('a', 1)])).rejects.toMatchObject({ code: 'STORAGE', reason: 'lost' })
      if (method === 'transact') {
        const reason = await page.evaluate(async () => {
          const [mine] = Object.values((window as unknown as InPage).outboxes) as [Outbox]
          return mine.transact('a', 1, () => 1).catch((error: { reason?: string }) => error.reason)
        })
        expect(reason).toBe('lost')
      }
      await outbox.destroy()
      await other.close()
      const next = remote()
      expect((await next.load()).session).toMatchObject({ rx: 0, done: [], messages: [entry(1)] })
    },
  )

  it('is closed when another page wishes to wipe it, and what its owner still writes is refused', async () => {
    const outbox = remote()
    await outbox.load()
    await outbox.write([begin('a'), number('a', 1, entry(1))])
    const other = await openPage()
    await other.evaluate(() => (window as unknown as InPage).indexedDbOutbox().wipe())
    expect(await page.evaluate(async () => (await indexedDB.databases()).length)).toBe(0)
    await expect(outbox.write([rx('a', 1)])).rejects.toMatchObject({ reason: 'lost' })
    await outbox.destroy()
    expect(await remote({}, () => other).load()).toEqual({ session: undefined, waiting: [] })
  })

  it('says when an older page stands in the way of a wipe', async () => {
    const other = await openPage()
    await other.evaluate(async () => {
      const open = indexedDB.open('guru-outbox-default')
      await new Promise((resolve) => open.addEventListener('success', resolve))
      Object.assign(window, { kept: open.result })
    })
    const wipe = () =>
      page.evaluate(() =>
        (window as unknown as InPage)
          .indexedDbOutbox()
          .wipe()
          .then(
            () => 'wiped',
            (error: { reason?: string }) => error.reason,
          ),
      )
    expect(await wipe()).toBe('locked')
    await other.close()
    await page.waitForFunction(async () => (await indexedDB.databases()).length === 0)
  })

  it('records what is written at the same time one after the other', async () => {
    const outbox = remote()
    await outbox.load()
    await outbox.write([begin('a')])
    await page.evaluate(
      async (texts) => {
        const here = window as unknown as InPage
        const [mine] = Object.values(here.outboxes) as [Outbox]
        await Promise.all(texts.map((text) => mine.write(here.decode(text))))
      },
      [[number('a', 1, entry(1))], [], [number('a', 2, entry(2))], []].map(encode),
    )
    await outbox.write([number('a', 3, entry(3))])
    await outbox.close()
    expect((await outbox.load()).session?.messages.map(({ seq }) => seq)).toEqual([1, 2, 3])
  })

  it('records thousands of messages without standing in the way of the page', async () => {
    const { longest, found } = await page.evaluate(async () => {
      const outbox = (window as unknown as InPage).indexedDbOutbox({ durability: 'relaxed' })
      await outbox.load()
      const writes = Array.from({ length: 30_000 }, (_, index) => ({
        kind: 'accept' as const,
        entry: { seq: index + 1, stream: -1, payload: 'text', bytes: 4, priority: 0, expiresAt: -1 },
      }))
      // How many requests the page makes of the database before it is free to do something else.
      let asked = 0
      let longest = 0
      const { put } = IDBObjectStore.prototype
      IDBObjectStore.prototype.put = function (...given) {
        asked += 1
        longest = Math.max(longest, asked)
        return put.apply(this, given)
      }
      const { port1, port2 } = new MessageChannel()
      port1.onmessage = () => {
        asked = 0
        port2.postMessage(0)
      }
      port2.postMessage(0)
      await outbox.write(writes)
      port1.close()
      await outbox.close()
      return { longest, found: (await outbox.load()).waiting.length }
    })
    expect(found).toBe(30_000)
    expect(longest).toBeLessThan(1000)
  })

  it.each([
    ['InvalidStateError', 'unavailable'],
    ['SecurityError', 'unavailable'],
    ['QuotaExceededError', 'full'],
    ['UnknownError', 'unavailable'],
  ])('says why it cannot be opened: %s', async (name, reason) => {
    await page.evaluate((given) => {
      IDBFactory.prototype.open = () => {
        throw new DOMException('as in a private window', given)
      }
    }, name)
    await expect(remote().load()).rejects.toMatchObject({
      reason,
      message: expect.stringContaining('as in a private'),
    })
  })

  it('says that IndexedDB is denied, even to look at', async () => {
    await page.evaluate(() =>
      Object.defineProperty(window, 'indexedDB', {
        get() {
          throw new DOMException('denied in this frame', 'SecurityError')
        },
      }),
    )
    await expect(remote().load()).rejects.toMatchObject({
      code: 'STORAGE',
      reason: 'unavailable',
      message: expect.stringMatching(/denied in this frame.*allow-same-origin/),
    })
  })

  it('says that there is no IndexedDB, or no lock', async () => {
    await page.evaluate(() => Object.defineProperty(window, 'indexedDB', { value: undefined }))
    await expect(remote().load()).rejects.toMatchObject({ reason: 'unavailable' })
    await page.evaluate(() => Object.defineProperty(navigator, 'locks', { value: undefined }))
    await expect(remote().load()).rejects.toMatchObject({
      reason: 'unavailable',
      message: 'there are no Web Locks here: serve the page over https:, or from localhost',
    })
  })

  it('says that an older page stands in the way of stores that are new', async () => {
    const outbox = remote()
    await outbox.load()
    await outbox.close()
    await page.evaluate(async () => {
      const open = indexedDB.open('guru-outbox-default')
      await new Promise((resolve) => open.addEventListener('success', resolve))
      // Kept open, and deaf to the wish for a newer version.
      Object.assign(window, { kept: open.result })
    })
    await expect(remote({ stores: { notes: {} } }).load()).rejects.toMatchObject({ reason: 'locked' })
  })

  it('refuses wrong options', async () => {
    const refused = await page.evaluate(() =>
      [{ name: '' }, { durability: 'none' }, { lockTimeout: -1 }, { stores: 3 }].map((options) => {
        try {
          ;(window as unknown as InPage).indexedDbOutbox(options as never)
        } catch (error) {
          return (error as { option?: string }).option
        }
        return undefined
      }),
    )
    expect(refused).toEqual(['name', 'durability', 'lockTimeout', 'stores'])
  })

  it('records what handlers do in stores of the app together with the fact that they did it', async () => {
    await remote().load()
    await page.reload()
    await loaded(page)
    const result = await page.evaluate(async () => {
      const { indexedDbOutbox, decode } = window as unknown as InPage
      // The database is there already, without these stores.
      const options = { stores: { notes: { keyPath: 'id' } } }
      let outbox = indexedDbOutbox(options)
      await outbox.load()
      const head = {
        sid: 'a',
        key: 'k',
        principal: '',
        ttl: 1,
        limits: { maxMessages: 9, maxBytes: 9, maxFrame: 9 },
      }
      await outbox.transact('a', 1, (transaction) => {
        transaction.objectStore('notes').put({ id: 'quick' })
      })
      await outbox.write([{ kind: 'begin', session: head }])
      await outbox.transact(
        'a',
        3,
        (transaction) => void transaction.objectStore('notes').put({ id: 'three' }),
      )
      const why = (error: Error & { reason?: string }) => error.reason ?? error.message ?? error.name
      const thrown = await outbox
        .transact('a', 4, (transaction) => {
          transaction.objectStore('notes').put({ id: 'never' })
          throw new Error('the app says no')
        })
        .catch(why)
      const failed = await outbox
        .transact('a', 5, (transaction) => void transaction.objectStore('notes').add({ id: 'three' }))
        .catch((error: Error) => error.name)
      const late = await outbox.transact('a', 6, async () => {}).catch((error: Error) => error.name)
      const twice = await outbox.transact('a', 3, () => 1).catch(why)
      await outbox.write([{ kind: 'rx', sid: 'a', rx: 2 }])
      await outbox.close()
      outbox = indexedDbOutbox(options)
      const { session } = await outbox.load()
      const read = await outbox.transact('a', 7, (transaction) =>
        transaction.objectStore('notes').getAllKeys(),
      )
      void decode
      return { thrown, failed, late, twice, done: session?.done, notes: read.result }
    })
    expect(result).toEqual({
      thrown: 'the app says no',
      failed: 'ConstraintError',
      late: 'TypeError',
      twice: 'conflict',
      done: [3],
      notes: ['quick', 'three'],
    })
  })

  it('forgets what was handled in sessions that are over', async () => {
    const done = await page.evaluate(async () => {
      const outbox = (window as unknown as InPage).indexedDbOutbox()
      await outbox.load()
      const head = (sid: string) => ({
        kind: 'begin' as const,
        session: {
          sid,
          key: 'k',
          principal: '',
          ttl: 1,
          limits: { maxMessages: 9, maxBytes: 9, maxFrame: 9 },
        },
      })
      for (const sid of ['a', 'b', 'c']) await outbox.transact(sid, 4, () => 1)
      await outbox.write([head('b')])
      await outbox.close()
      const { session } = await outbox.load()
      await outbox.write([head('a')])
      await outbox.close()
      const next = await outbox.load()
      return [session?.done, next.session?.done]
    })
    expect(done).toEqual([[4], []])
  })

  it('survives the death of the whole browser', async () => {
    const folder = await mkdtemp(join(tmpdir(), 'guru-profile-'))
    try {
      const first = await launchProfile(executablePath as string, folder)
      context = first
      page = await openPage()
      const outbox = remote()
      await outbox.load()
      await outbox.write([begin('a'), epoch('a', 3), number('a', 1, entry(1)), accept(entry(2))])
      const session = await (first.browser() as Browser).newBrowserCDPSession()
      const { processInfo } = await session.send('SystemInfo.getProcessInfo')
      const gone = new Promise((resolve) => first.once('close', resolve))
      for (const { type, id } of processInfo) if (type === 'browser') process.kill(id, 'SIGKILL')
      await gone
      context = await launchProfile(executablePath as string, folder)
      page = await openPage()
      const record = await outbox.load()
      expect(record).toMatchObject({ session: { epoch: 3, messages: [entry(1)] }, waiting: [entry(2)] })
      await context.close()
    } finally {
      await rm(folder, { recursive: true, force: true })
    }
  })
})
