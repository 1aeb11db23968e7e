"""The project file, the environment and the flags, combined into one value."""

from reconciler.kinds.freeze import Window
from reconciler.settings.agent import Agent, AgentPolicy
from reconciler.settings.listen import Listen, Notify
from reconciler.settings.settings import PROJECT_FILE, Settings, find_project, load
from reconciler.settings.source import FolderSource, GitSource
from reconciler.settings.target import ProjectLimits, Target

__all__ = [
    "PROJECT_FILE",
    "Agent",
    "AgentPolicy",
    "FolderSource",
    "GitSource",
    "Listen",
    "Notify",
    "ProjectLimits",
    "Settings",
    "Target",
    "Window",
    "find_project",
    "load",
]
