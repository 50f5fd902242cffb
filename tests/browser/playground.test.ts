// The playground in a real browser, on the real backend.

import { join } from 'node:path'
import { type Backend, type BackendOptions, createBackend, type Responder } from 'guru-comms/server'
import type { Browser, BrowserContextOptions, Page } from 'playwright-core'
import { afterEach, beforeAll, describe, expect, it } from 'vitest'
import { serveFiles } from '../../apps/backend/src/staticFiles.ts'
import { findChromium, PATIENCE_MS, sharedBrowser } from './chromium.ts'

const executablePath = findChromium('the playground in a browser')
const dist = join(import.meta.dirname, '../../apps/playground/dist')
const PNG = 'iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNkYPhfDwAChwGA60e6kgAAAABJRU5ErkJggg=='
/** What a browser says of a network that fails, as it is made to here. */
const NETWORK_NOISE = /^Failed to load resource|^WebSocket connection to/

/**
 * Answers word by word, and remembers what it was asked and what it said. `stall` in a question halts the answer after its first
 * words for good, `hold` until `goOn`.
 */
function assistant(): Responder & { asked: string[]; said: string; goOn: () => void } {
  const held = Promise.withResolvers<void>()
  return {
    asked: [],
    said: '',
    goOn: held.resolve,
    async *respond({ content, image }, { signal }) {
      this.asked.push(content)
      for (const word of `**Answer** to ${content}${image ? ' with an image' : ''}`.split(/(?<= )/)) {
        if (signal.aborted) return
        this.said += word
        yield word
        if (word === 'hold ') await held.promise
        if (word === 'stall ') {
          await new Promise((resolve) => signal.addEventListener('abort', resolve, { once: true }))
        }
      }
    },
  }
}

describe.skipIf(executablePath === undefined)('the playground', () => {
  let browser: Browser
  let backend: Backend
  let page: Page
  let responder: ReturnType<typeof assistant>
  const problems: string[] = []

  beforeAll(async () => {
    browser = await sharedBrowser(executablePath as string)
  })
  afterEach(async () => {
    await page.context().close()
    await backend.close({ graceMs: 0 })
    expect(problems.splice(0)).toEqual([])
  })

  /** @param prepare is given the page before it is loaded */
  async function open(
    context: BrowserContextOptions = {},
    options: BackendOptions = {},
    prepare: (page: Page) => Promise<void> = async () => {},
  ): Promise<void> {
    responder = assistant()
    backend = await createBackend({
      port: 0,
      responder,
      faults: true,
      onRequest: serveFiles(dist),
      ...options,
    })
    page = await browser.newPage({ viewport: { width: 1280, height: 800 }, ...context })
    page.setDefaultTimeout(PATIENCE_MS)
    page.on('pageerror', (error) => problems.push(error.message))
    page.on('console', (message) => {
      if (message.type() === 'error' && !NETWORK_NOISE.test(message.text())) problems.push(message.text())
    })
    await prepare(page)
    await page.goto(backend.url)
    await page.locator('body[data-state="open"]').waitFor()
  }

  const ask = async (text: string) => {
    await page.fill('textarea', text)
    await page.keyboard.press('Enter')
  }
  const button = (name: string | RegExp) => page.getByRole('button', { name })
  const delivery = (text: string) =>
    page.locator('.question', { hasText: text }).last().getAttribute('data-delivery')
  const answered = (text: string) =>
    page.locator('.reply[data-delivery="answered"]', { hasText: `to ${text}` }).waitFor()
  const fault = (change: object) =>
    page.evaluate((body) => fetch('/__faults', { method: 'POST', body }), JSON.stringify(change))
  /** The path of a trace in the recorder. */
  const trace = (lane: string, name: string) =>
    page.locator(`[data-lane="${lane}"] .trace.${name}`).getAttribute('d')
  const overflow = () =>
    page.evaluate(() => document.documentElement.scrollWidth - document.documentElement.clientWidth)

  it('begins with questions to ask; shows one and its answer, formatted, and says it aloud once it is whole', async () => {
    await open()
    expect(await page.locator('.suggestions button').count()).toBe(3)
    await page.locator('.suggestions button').first().click()
    await answered('What happens when the line is cut?')
    expect(await page.locator('.reply strong').textContent()).toBe('Answer')
    expect(await page.locator('.question .bubble').textContent()).toBe('What happens when the line is cut?')
    expect(await page.locator('[aria-live="polite"] p').allTextContents()).toEqual([
      'Answer to What happens when the line is cut?',
    ])
    expect(await page.locator('.empty').count()).toBe(0)
  })

  it('an answer that is cut in its middle goes on without a gap, and shows where it was cut and for how long', async () => {
    await open()
    await ask('the hold question, word by word')
    await page.locator('.reply[data-delivery="answering"]', { hasText: 'Answer to the hold' }).waitFor()
    await button(/Cut the line/).click()
    await page.locator('.reply.halted .cut.open', { hasText: /^line cut here$/ }).waitFor()
    responder.goOn()
    await page.locator('.reply[data-delivery="answered"]').waitFor()
    const text = await page.locator('.reply .markdown').textContent()
    const [, mark, rest] =
      /^Answer to the hold(line cut here, went on after [\d.]+ m?s)(.*)$/.exec(text ?? '') ?? []
    expect(`Answer to the hold${rest}`).toBe(responder.said.replaceAll('*', ''))
    expect(rest).toBe(' question, word by word')
    expect(await page.locator('.reply .cut').allTextContents()).toEqual([mark])
    expect(responder.asked).toEqual(['the hold question, word by word'])
    // The session went on while the line was down, for however short a time.
    await page.locator('[data-lane="session"] .lane-value', { hasText: 'open' }).waitFor()
    await expect.poll(() => trace('session', 'kept')).toMatch(/^M/)
    await expect.poll(() => trace('session', 'ack')).toMatch(/^M/)
    expect(await trace('session', 'lost')).toBe('')
  })

  it('an answer whose session is lost keeps what has come, says so, and can be asked for again', async () => {
    await open()
    await ask('the stall question')
    await page.locator('.reply[data-delivery="answering"]', { hasText: 'Answer to the stall' }).waitFor()
    await fault({ refuseMs: 60_000 })
    await page.locator('body[data-state="waiting"]').waitFor()
    // Another process at the same place knows nothing of the session.
    const { port } = backend
    await backend.close({ graceMs: 0 })
    responder = assistant()
    backend = await createBackend({ port, responder, faults: true, onRequest: serveFiles(dist) })
    await page.locator('.reply[data-delivery="lost"] .tear').waitFor()
    expect(await page.locator('.reply .markdown').textContent()).toContain('Answer to the stall')
    await page.locator('body[data-state="open"]').waitFor()
    await page.locator('[data-lane="session"] .lane-note', { hasText: /^lost \d+ s ago/ }).waitFor()
    await expect.poll(() => trace('session', 'lost')).toMatch(/^M/)
    await page.locator('.failure button').click()
    await page.locator('.reply[data-delivery="answering"]').waitFor()
    expect(responder.asked).toEqual(['the stall question'])
    await page.locator('textarea').press('Escape')
    await page.locator('.reply[data-delivery="stopped"]').waitFor()
  })

  it('what is asked while the backend is gone waits, visibly, and is answered in order when it is back', async () => {
    await open()
    await ask('one')
    await answered('one')
    await button(/Stop backend/).click()
    await page.locator('body[data-state="waiting"]').waitFor()
    expect(await button(/Stop backend/).textContent()).toMatch(/back in \d+\.\d s/)
    await fault({ refuseMs: 1200 })
    await ask('two')
    await ask('three')
    expect([await delivery('two'), await delivery('three')]).toEqual(['queued', 'queued'])
    await page.locator('[data-lane="queue"] .lane-value', { hasText: '2' }).waitFor()
    await page.locator('.line-note', { hasText: '2 waiting' }).waitFor()
    await answered('three')
    expect(responder.asked).toEqual(['one', 'two', 'three'])
    expect([await delivery('two'), await delivery('three')]).toEqual(['answered', 'answered'])
    // The recorder has drawn what happened: the line down, what waited, and why.
    expect(await trace('line', 'waiting')).toMatch(/^M/)
    expect(await trace('line', 'open')).toMatch(/z.*z/)
    expect((await trace('queue', 'step'))?.match(/V/g)?.length).toBeGreaterThanOrEqual(2)
    expect(await page.locator('.band').getAttribute('d')).toMatch(/^M/)
    expect(await page.locator('[data-lane="line"] .lane-note').textContent()).toContain('1 recovery')
  })

  it('does not wait for the moment that was chosen when it is told to try now', async () => {
    await open({}, {}, (unopened) => unopened.clock.install())
    await fault({ refuseMs: 60_000 })
    await page.locator('body[data-state="waiting"]').waitFor()
    await ask('at last')
    // From here on no timer of the page fires: neither the next attempt nor the next question to the health address.
    await page.clock.pauseAt(Date.now() + 5000)
    await page.locator('body[data-state="waiting"]').waitFor()
    await fault({ refuseMs: 0 })
    await button('Try now').click()
    await answered('at last')
    expect(await button('Try now').count()).toBe(0)
  })

  it('shows what limits and faults do to HTTP', async () => {
    await open()
    await button('40 at once').click()
    await page.locator('.log .limited').first().waitFor()
    expect(await page.locator('.log .limited .times').first().textContent()).toMatch(/^×\d+$/)
    await button(/30 % errors/).click()
    await page.locator('.fault[aria-pressed="true"]').waitFor()
    await fault({ failRate: 1 })
    await page.locator('.log .retry').first().waitFor()
    await page.locator('.log .breaker', { hasText: 'open' }).first().waitFor()
    expect(await page.locator('[data-lane="breaker"] .lane-value').textContent()).toBe('open')
    expect(await trace('breaker', 'tripped')).toMatch(/^M/)
    expect(await trace('requests', 'limited')).toMatch(/^M/)
    await button(/30 % errors/).click()
    await page.locator('.fault[aria-pressed="false"]', { hasText: '30 %' }).waitFor()
  })

  it('shows latency in the heartbeat, also when it is as long as the time from beat to beat', async () => {
    await open()
    const reading = page.locator('[data-lane="heartbeat"] .lane-value')
    const beats = async () => (await trace('heartbeat', 'dots'))?.match(/M/g)?.length ?? 0
    await fault({ latencyMs: 600 })
    await reading.filter({ hasText: /^[6-9]\d\d ms$/ }).waitFor()
    await fault({ latencyMs: 2000 })
    await reading.filter({ hasText: /^2\.\d s$/ }).waitFor()
    const before = await beats()
    await expect.poll(beats).toBeGreaterThanOrEqual(before + 2)
    expect(await reading.textContent()).toMatch(/^2\.\d s$/)
  })

  it('takes an image, shows it, lets it go, and refuses what is too large or none', async () => {
    await open()
    const choose = (name: string, mimeType: string, buffer: Buffer) =>
      page.setInputFiles('input[type=file]', { name, mimeType, buffer })
    await choose('dot.png', 'image/png', Buffer.from(PNG, 'base64'))
    await page.locator('.preview img').waitFor()
    await button('Remove dot.png').click()
    expect(await page.locator('.preview').isVisible()).toBe(false)
    await choose('dot.png', 'image/png', Buffer.from(PNG, 'base64'))
    await page.locator('.preview img').waitFor()
    await ask('see this')
    await page.locator('.reply', { hasText: 'with an image' }).waitFor()
    expect(await page.locator('.question img').count()).toBe(1)
    await choose('large.png', 'image/png', Buffer.alloc(10 * 1024 * 1024 + 1))
    await page.locator('.problem', { hasText: 'An image may have 10 MB' }).waitFor()
    await choose('page.html', 'text/html', Buffer.from('<p>'))
    await page.locator('.problem', { hasText: 'no PNG, JPEG, GIF or WebP' }).waitFor()
    await choose('bad.png', 'image/png', Buffer.from('not an image at all'))
    await page.locator('.preview img').waitFor()
    await ask('and this')
    expect(await page.locator('.problem').textContent()).toContain('image')
    expect(responder.asked).toEqual(['see this'])
  })

  it.each([
    ['the microphone', ['microphone'], 'Microphone'],
    ['a tone where there is none', [], 'Tone, no microphone'],
  ])('streams %s', async (_, permissions, shown) => {
    await open({ permissions })
    await button('Speak').click()
    await page.locator('.voice-source', { hasText: shown }).waitFor()
    await page.locator('.line-note', { hasText: 'listening' }).waitFor()
    await expect.poll(() => backend.getStats().audioBytes).toBeGreaterThan(6400)
    expect(await page.locator('.voice-sums').textContent()).toMatch(/^\d+\.\d s · /)
    await button('Speak').click()
    expect(await page.locator('.voice').isVisible()).toBe(false)
  })

  it('fits a phone: nothing scrolls sideways, the instruments wait in a drawer', async () => {
    await open({ viewport: { width: 390, height: 844 } })
    expect(await overflow()).toBe(0)
    expect(await page.locator('.health').isVisible()).toBe(false)
    await ask(`${'word'.repeat(60)} stall here`)
    await page.locator('.reply[data-delivery="answering"]').waitFor()
    await button('Speak').click()
    await fault({ refuseMs: 60_000 })
    await page.locator('.reply.halted .cut.open').waitFor()
    await ask('this one waits')
    expect(await overflow()).toBe(0)
    await page.locator('.status-strip').click()
    await page.locator('.health.open').waitFor()
    expect(await page.locator('.chat').evaluate((chat) => (chat as HTMLElement).inert)).toBe(true)
    expect(await trace('line', 'waiting')).toMatch(/^M/)
    expect(await overflow()).toBe(0)
    await page.keyboard.press('Escape')
    await page.locator('.health:not(.open)').waitFor({ state: 'attached' })
    expect(await page.locator('.status-strip').evaluate((strip) => strip === document.activeElement)).toBe(
      true,
    )
  })

  it('follows the system in light and dark until somebody chooses, and remembers the choice', async () => {
    await open({ colorScheme: 'dark' })
    const ground = () => page.evaluate(() => getComputedStyle(document.body).backgroundColor)
    const dark = await ground()
    await button('Switch to light').click()
    const light = await ground()
    expect(light).not.toBe(dark)
    await page.reload()
    expect(await ground()).toBe(light)
    await button('Switch to dark').click()
    expect(await ground()).toBe(dark)
  })

  it('moves nothing for those who want less motion', async () => {
    await open({ reducedMotion: 'reduce' })
    await ask('a stall question')
    await page.locator('.reply[data-delivery="answering"]').waitFor()
    const running = () => page.evaluate(() => document.getAnimations().length)
    expect(await running()).toBe(0)
    await page.emulateMedia({ reducedMotion: 'no-preference' })
    expect(await running()).toBeGreaterThan(0)
  })

  it('can be used from the keyboard alone', async () => {
    await open()
    await page.evaluate(() => (document.activeElement as HTMLElement).blur())
    const reached: string[] = []
    for (let press = 0; press < 24; press += 1) {
      await page.keyboard.press('Tab')
      reached.push(
        await page.evaluate(() => {
          const { activeElement: at } = document
          return at?.getAttribute('aria-label') ?? at?.textContent ?? ''
        }),
      )
    }
    for (const name of [
      /Switch to/,
      /^What happens/,
      /^Add an image/,
      /^Speak/,
      /^Your message/,
      /^Send/,
      /^Cut/,
    ]) {
      expect(reached.some((label) => name.test(label))).toBe(true)
    }
  })

  it('says so when the backend takes no faults', async () => {
    await open({}, { faults: false })
    await page.locator('.missing').waitFor()
    expect(await button(/Cut the line/).isDisabled()).toBe(true)
    await ask('works all the same')
    await answered('works all the same')
  })

  it('never takes an answer for markup', async () => {
    await open()
    await ask('<img src=x onerror=alert(1)> [x](javascript:alert(1))')
    await page.locator('.reply[data-delivery="answered"]').waitFor()
    expect(await page.locator('.talk img, .talk a').count()).toBe(0)
    expect(await page.locator('.reply').textContent()).toContain('<img src=x')
  })
})
