import { expect, it } from 'vitest'
import { checkFilename } from './filename.ts'

it.each([
  'photo.png',
  'Müller – Vertrag (2).pdf',
  '.gitignore',
  'archive.tar.gz',
  'con-tract.txt',
  'console.log',
  '報告書.docx',
  'a..b',
  'null.txt',
  '👨‍👩‍👧.jpg',
  'می\u200cخواهم.pdf',
  'क\u094d\u200dष.txt',
  'Screenshot at 1.00.00\u202fPM.png',
  '写真\u3000夏.jpg',
  'ﬁnal ½ a² №5.txt',
  'console.txt',
  'ｐｈｏｔｏ.png',
])('passes: %s', (name) => {
  expect(checkFilename(name)).toBeNull()
})

it.each([
  '',
  ' ',
  '.',
  '..',
  '...',
  '../etc',
  '..\\x',
  'a/b',
  'a\\b',
  '/etc/passwd',
  'C:\\x',
  'C:x',
  'a%2fb',
  'a%252Fb',
  'a%5cb',
  '%2e%2e',
  'a%00.png',
  'a%c0%afb',
  'a／b',
  'a＼b',
  'a∕b',
  '．．',
  'a\0.png',
  'a\nb',
  'a\x7f',
  'a\x85b',
  'a<b',
  'a|b',
  'a?',
  'a*',
  'a"b',
  'file.txt:stream',
  'CON',
  'con.txt',
  'Aux.tar.gz',
  'nul .txt',
  'prn',
  'COM1',
  'com¹.txt',
  'lpt9.log',
  'CONIN$',
  'a.',
  'a ',
  'a.txt...',
  'photo\u202egpj.exe',
  // Compatibility characters
  'ＣＯＮ',
  'ｃｏｎ.txt',
  'ＮＵＬ．txt',
  'com１.log',
  'ⅽon',
  'a．b',
  '․․',
  '‥',
  '‥secret',
  '…',
  'a․txt',
  'a․',
  'to be continued…',
  // What shows nothing
  'a\u200b.png',
  'photo\u200b',
  'pa\u00adss.txt',
  'a\u2060b',
  '\ufeffa.txt',
  'a\u200e.txt',
  'a\u200db.txt',
  'a\u200cb.txt',
  'co\u200dn.txt',
  'a\u2800b',
  'a\u3164b',
  // Blanks
  'con\u00a0.txt',
  'a\u00a0',
  'a\u00a0b.txt',
  '\u3000a.txt',
  'a\u3000',
  'a\u202f.txt',
  'a\u2003b',
  ' a.txt',
  '\ta',
  `photo.jpg${' '.repeat(40)}.exe`,
  'a\u200b\u2063.png',
  'a\u{e0041}.png',
  '\ud800.png',
])('is refused as dangerous: %j', (name) => {
  expect(checkFilename(name)).toMatchObject({ rule: 'filename', message: expect.stringMatching(/dangerous/) })
})

it('counts bytes, not characters', () => {
  expect(checkFilename('a'.repeat(255))).toBeNull()
  expect(checkFilename('ö'.repeat(128))?.rule).toBe('maxLength')
  expect(checkFilename('a'.repeat(33), { maxBytes: 32 })?.rule).toBe('maxLength')
})

it('looks at the last extension only, in any case', () => {
  const options = { extensions: ['.png', '.JPG'] }
  expect(checkFilename('a.jpg', options)).toBeNull()
  expect(checkFilename('a.PNG', options)).toBeNull()
  for (const name of ['a.png.exe', 'png', '.png', 'a'])
    expect(checkFilename(name, options)?.rule).toBe('extension')
})
