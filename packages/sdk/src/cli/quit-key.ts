/** As terminals send them. */
const INTERRUPT = '\u0003';
const SUSPEND = '\u001a';

/**
 * Calls `quit` when somebody types `q`, until it is disposed of. Keys come one by one only in raw mode, in which the terminal sends no
 * signals, so those of ^C and ^Z are sent here, to all that it would send them to.
 */
export function onQuitKey(stdin: NodeJS.Process['stdin'], quit: () => void): Disposable {
  const setRaw = (raw: boolean) => void stdin.setRawMode(raw);
  const goOn = () => setRaw(true);
  const read = (keys: Buffer) => {
    for (const key of keys.toString()) {
      if (key === 'q') quit();
      else if (key === INTERRUPT) process.kill(0, 'SIGINT');
      else if (key === SUSPEND) {
        setRaw(false);
        process.kill(0, 'SIGTSTP');
      }
    }
  };
  setRaw(true);
  stdin.on('data', read);
  process.on('SIGCONT', goOn);
  return {
    [Symbol.dispose]: () => {
      process.off('SIGCONT', goOn);
      stdin.off('data', read).pause();
      setRaw(false);
    },
  };
}
