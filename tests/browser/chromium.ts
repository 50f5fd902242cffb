// A real browser, where there is one.

import { existsSync } from 'node:fs'
import { type Browser, type BrowserContext, chromium, type Page } from 'playwright-core'

const CANDIDATES = [
  process.env.CHROME_PATH,
  '/usr/bin/chromium',
  '/usr/bin/chromium-browser',
  '/usr/bin/google-chrome',
]

/** The path of a Chromium, or `undefined`. Says once what is skipped without one. */
export function findChromium(what: string): string | undefined {
  const path = CANDIDATES.find((candidate) => candidate !== undefined && existsSync(candidate))
  if (path === undefined) console.warn(`skipped: ${what} (no Chromium found; CHROME_PATH names one)`)
  return path
}

const ARGUMENTS = [
  '--no-sandbox',
  '--disable-gpu',
  '--disable-background-networking',
  '--disable-component-update',
  '--disable-sync',
  '--disable-quic',
  '--no-first-run',
  '--use-fake-device-for-media-stream',
]

/**
 * Starts it, headless, without any traffic of its own, and with a microphone that beeps for pages that may hear it.
 * @param more further arguments
 * @param without arguments that Playwright would give it
 */
export function launch(
  executablePath: string,
  more: readonly string[] = [],
  without: string[] = [],
): Promise<Browser> {
  return chromium.launch({ executablePath, args: [...ARGUMENTS, ...more], ignoreDefaultArgs: without })
}

const shared = new Map<string, Promise<Browser>>()

/** One browser for all test files of this process; it ends with the process, and nobody closes it. */
export function sharedBrowser(executablePath: string): Promise<Browser> {
  const browser = shared.get(executablePath) ?? launch(executablePath)
  shared.set(executablePath, browser)
  return browser
}

/** Ends what hangs: how long a page takes on a slow machine says nothing. */
export const PATIENCE_MS = 120_000

/** The same, with what it keeps in a folder: it is there when the next browser starts with that folder. */
export function launchProfile(executablePath: string, folder: string): Promise<BrowserContext> {
  return chromium.launchPersistentContext(folder, { executablePath, args: ARGUMENTS })
}

/** The processes of all pages; one more is kept in reserve. Which is whose nobody tells. */
export async function rendererIds(browser: Browser): Promise<number[]> {
  const session = await browser.newBrowserCDPSession()
  const { processInfo } = await session.send('SystemInfo.getProcessInfo')
  await session.detach()
  return processInfo.flatMap(({ type, id }) => (type === 'renderer' ? [id] : []))
}

/** Kills (SIGKILL) the process of a page, and those of the others with it. */
export async function killRenderer(browser: Browser, page: Page): Promise<void> {
  const crashed = page.waitForEvent('crash')
  const killed = await rendererIds(browser)
  for (const id of killed) process.kill(id, 'SIGKILL')
  await crashed
  // Until the browser has noticed the death of the one in reserve, it may hand it to the next page.
  while ((await rendererIds(browser)).some((id) => killed.includes(id))) {
    await new Promise((resolve) => setTimeout(resolve, 20))
  }
}
