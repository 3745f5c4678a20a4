import { Text, Title } from '@mantine/core';
import { type ReactNode, useEffect, useRef } from 'react';
import type { SetupDraft } from '../state/app-store.ts';
import classes from './first-run.module.css';

/** The props of each step. */
export interface StepProps {
  draft: SetupDraft;
  change: (part: Partial<SetupDraft>) => void;
}

/** The form of a step. Its heading receives the focus, so that a screen reader announces the step. */
export function StepForm({
  title,
  text,
  children,
  submit,
}: {
  title: string;
  text: string;
  children: ReactNode;
  submit: () => void;
}) {
  const heading = useRef<HTMLHeadingElement>(null);
  useEffect(() => heading.current?.focus(), []);
  return (
    <form
      className={classes.form}
      noValidate
      onSubmit={(event) => {
        event.preventDefault();
        submit();
      }}
    >
      <div>
        <Title order={2} size="h4" ref={heading} tabIndex={-1} className={classes.heading}>
          {title}
        </Title>
        <Text size="sm" c="dimmed">
          {text}
        </Text>
      </div>
      {children}
    </form>
  );
}
