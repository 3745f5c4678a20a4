import { Button, Code, Group, Stack, Text, Title } from '@mantine/core';
import { IconAlertTriangle } from '@tabler/icons-react';
import { Component, type ReactNode } from 'react';

interface Props {
  children: ReactNode;
}

/** Replaces a screen whose code fails. States that the agent keeps syncing, and offers to try again. */
export class ErrorBoundary extends Component<Props, { error: Error | null }> {
  override state: { error: Error | null } = { error: null };

  static getDerivedStateFromError(thrown: unknown) {
    return { error: thrown instanceof Error ? thrown : new Error(String(thrown)) };
  }

  override render() {
    const { error } = this.state;
    if (!error) return this.props.children;
    return (
      <Stack role="alert" p="xl" gap="md" maw={640} className="selectable">
        <Group gap="sm">
          <IconAlertTriangle aria-hidden />
          <Title order={1} size="h3">
            This window has stopped working
          </Title>
        </Group>
        <Text>Sync continues in the background. Your data is safe.</Text>
        <Group gap="sm">
          <Button onClick={() => this.setState({ error: null })}>Try again</Button>
          <Button variant="default" onClick={() => window.location.reload()}>
            Reload window
          </Button>
        </Group>
        <Text size="sm" c="dimmed">
          Details for your administrator:
        </Text>
        <Code block>{error.stack ?? error.message}</Code>
      </Stack>
    );
  }
}
