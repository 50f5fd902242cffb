// The playground in a real browser, on the real backend.

import { join } from 'node:path'
import { type Backend, createBackend, type Responder } from 'guru-comms/server'
import type { Browser, Page } from 'playwright-core'
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest'
import { serveFiles } from '../../apps/backend/src/staticFiles.ts'
import { findChromium, launch } from './chromium.ts'

const executablePath = findChromium('the playground in a browser')
const dist = join(import.meta.dirname, '../../apps/playground/dist')

/** Answers word by word; says how often it was asked what. */
function assistant(): Responder & { asked: string[] } {
  const asked: string[] = []
  return {
    asked,
    async *respond({ content, image }, { signal }) {
      asked.push(content)
      for (const word of `**Answer** to ${content}${image ? ' with an image' : ''}`.split(/(?<= )/)) {
        if (signal.aborted) return
        yield word
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
    browser = await launch(executablePath as string)
  })
  afterAll(() => browser?.close())
  afterEach(async () => {
    await page.close()
    await backend.close({ graceMs: 0 })
    expect(problems.splice(0)).toEqual([])
  })

  async function open(viewport = { width: 1280, height: 800 }): Promise<void> {
    responder = assistant()
    backend = await createBackend({ port: 0, responder, faults: true, onRequest: serveFiles(dist) })
    page = await browser.newPage({ viewport })
    page.on('pageerror', (error) => problems.push(error.message))
    await page.goto(backend.url)
    await page.locator('body[data-state="open"]').waitFor()
  }

  const ask = async (text: string) => {
    await page.fill('textarea', text)
    await page.keyboard.press('Enter')
  }

  it('shows a question and its streamed answer, formatted', async () => {
    await open()
    await page.locator('.suggestions button').first().click()
    await page
      .locator('.theirs:not(.pending):not(.streaming) .answer strong', { hasText: 'Answer' })
      .waitFor()
    expect(await page.locator('.mine .bubble').textContent()).toBe('What happens when the line is cut?')
  })

  it('what is asked while the backend is gone waits, visibly, and is answered in order when it is back', async () => {
    await open()
    await ask('one')
    await page.locator('.theirs .answer', { hasText: 'to one' }).waitFor()
    await page.evaluate(() => fetch('/__faults', { method: 'POST', body: '{"refuseMs":1200}' }))
    await page.locator('body[data-state="waiting"]').waitFor()
    await ask('two')
    await ask('three')
    expect(await page.locator('[data-mark="queued"]').count()).toBe(2)
    await page.locator('.theirs:not(.pending) .answer', { hasText: 'to three' }).waitFor()
    expect(responder.asked).toEqual(['one', 'two', 'three'])
    expect(await page.locator('[data-mark="queued"]').count()).toBe(0)
    expect(await page.locator('.strip .waiting').count()).toBeGreaterThan(0)
  })

  it('shows what limits and faults do to HTTP', async () => {
    await open()
    await page.getByRole('button', { name: '40 at once' }).click()
    await page.locator('.log .limited').first().waitFor()
    await page.getByRole('button', { name: /30 % errors/ }).click()
    expect(await page.getByRole('button', { name: /30 % errors/ }).getAttribute('aria-pressed')).toBe('true')
  })

  it('takes an image, shows it, and refuses what is none', async () => {
    await open()
    const png =
      'iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNkYPhfDwAChwGA60e6kgAAAABJRU5ErkJggg=='
    await page.setInputFiles('input[type=file]', {
      name: 'dot.png',
      mimeType: 'image/png',
      buffer: Buffer.from(png, 'base64'),
    })
    await page.locator('.preview img').waitFor()
    await ask('see this')
    await page.locator('.answer', { hasText: 'with an image' }).waitFor()
    await page.setInputFiles('input[type=file]', {
      name: 'bad.png',
      mimeType: 'image/png',
      buffer: Buffer.from('not an image at all'),
    })
    await page.locator('.preview img').waitFor()
    await ask('and this')
    expect(await page.locator('.problem').textContent()).toContain('image')
    expect(responder.asked).toEqual(['see this'])
  })

  it('fits a phone: nothing scrolls sideways, the instruments wait behind the chip', async () => {
    await open({ width: 390, height: 844 })
    expect(await page.evaluate(() => document.documentElement.scrollWidth)).toBe(390)
    expect(await page.locator('.health').isVisible()).toBe(false)
    await page.locator('.chip').click()
    await page.locator('.health.open').waitFor()
    expect(await page.evaluate(() => document.documentElement.scrollWidth)).toBe(390)
  })

  it('never takes an answer for markup', async () => {
    await open()
    await ask('<img src=x onerror=alert(1)> [x](javascript:alert(1))')
    await page.locator('.theirs:not(.pending):not(.streaming)').waitFor()
    expect(await page.locator('.talk img, .talk a').count()).toBe(0)
  })
})
